import { formatAval } from './aval.js'
import type { Aval } from './aval.js'
import type { PrimitiveName } from './primitives.js'
import type { PrimitiveParams } from './program.js'
import { deviceShapes } from './shapes/devices.js'
import { elementwiseShapes } from './shapes/elementwise.js'
import { indexingShapes } from './shapes/indexing.js'
import { programShapes } from './shapes/programs.js'
import { reductionShapes } from './shapes/reductions.js'
import type { ShapeRule } from './shapes/rule.js'
import { structureShapes } from './shapes/structure.js'

/** The rule of every primitive: one that has no rule in any of the tables is a type error here. */
const shapeRules: { readonly [P in PrimitiveName]: ShapeRule<P> } = {
  ...elementwiseShapes,
  ...structureShapes,
  ...reductionShapes,
  ...indexingShapes,
  ...programShapes,
  ...deviceShapes,
}

/** The types of a primitive's outputs. Throws a ShapeError that names the primitive and its operands. */
export function shapeOf<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Aval[],
  params: PrimitiveParams[P],
): Aval[] {
  try {
    return shapeRules[primitive](inputs, params)
  } catch (error) {
    if (error instanceof Error) error.message = `${primitive}(${inputs.map(formatAval).join(', ')}): ${error.message}`
    throw error
  }
}

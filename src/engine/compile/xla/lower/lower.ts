import type { PrimitiveName } from '../../../program/primitives.js'
import { Lit } from '../../../program/program.js'
import type { Atom, Equation, PrimitiveParams, Program, Var } from '../../../program/program.js'
import type { Partition } from '../../../program/sharding.js'
import { aliasesOf, aliasText } from './aliases.js'
import { ModuleWriter } from './module.js'
import type { WriteProgram } from './module.js'
import { programRules } from './rules/composites.js'
import { dotGeneral } from './rules/contraction.js'
import { controlRules } from './rules/control.js'
import { deviceRules } from './rules/devices.js'
import { elementwiseRules } from './rules/elementwise.js'
import { indexingRules } from './rules/indexing.js'
import { orderRules } from './rules/order.js'
import { threefry2x32 } from './rules/random.js'
import { reduceRules } from './rules/reduce.js'
import type { Lowering, LoweringContext } from './rules/rule.js'
import { structureRules } from './rules/structure.js'
import { layoutTexts } from './shardy.js'
import { updateOrder } from './update-order.js'
import type { Update } from './update-order.js'
import type { BlockWriter, Lowered } from './writer.js'

export interface LoweringOptions {
  /** The inputs whose memory the results may take. */
  donated?: readonly boolean[]
  /** The mesh of devices that run the program, and its layouts. Left out for a program of one device. */
  partition?: Partition
}

/** A program as the text of a StableHLO module, with the function `main`. */
export function toStableHlo(program: Program, { donated = [], partition }: LoweringOptions = {}): string {
  // XLA partitions no program for one device.
  const divided = partition && partition.mesh.size > 1 ? partition : null
  const layouts = divided && layoutTexts(program, divided)
  const aliases = aliasesOf(program, donated, layouts)
  const module = new ModuleWriter(writeProgram(updateOrder(program, aliases)), divided?.mesh)
  const ofInputs = aliases.map((alias, i) => attributesText(aliasText(alias), layouts?.inputs[i]))
  module.main(
    program,
    ofInputs,
    layouts?.outputs.map(layout => attributesText(layout)),
  )
  return module.text
}

/** ` {a, b}`: the attributes that there are, of one input or result of `main`. */
function attributesText(...attributes: readonly (string | undefined)[]): string {
  const given = attributes.filter(a => a !== undefined)
  return given.length === 0 ? '' : ` {${given.join(', ')}}`
}

/** The rule of every primitive: one that has no rule in any of the tables is a type error here. */
const lowerings: { readonly [P in PrimitiveName]: Lowering<P> } = {
  ...elementwiseRules,
  ...structureRules,
  ...reduceRules,
  dotGeneral,
  ...indexingRules,
  ...orderRules,
  threefry2x32,
  ...programRules,
  ...controlRules,
  ...deviceRules,
}

/** Writes the equations of a program into a block; returns its outputs. `updates`: equations that must wait. */
const writeProgram =
  (updates: ReadonlyMap<Equation, Update>): WriteProgram =>
  (module, block, program, inputs) => {
    const env = new Map<Var, Lowered>()
    const read = (a: Atom): Lowered => (a instanceof Lit ? block.constant(a.value, a.aval) : env.get(a)!)
    program.inputs.forEach((v, i) => env.set(v, inputs[i]))
    for (const eqn of program.equations) {
      const update = updates.get(eqn)
      if (update) env.set(update.input, inputAfter(block, read(update.input), update.after.map(read)))
      const outs = eqn.outputs.map(o => o.aval)
      const results = writeEquation({ module, block, outs }, eqn.primitive, eqn.inputs.map(read), eqn.params)
      eqn.outputs.forEach((v, i) => env.set(v, results[i]))
    }
    return program.outputs.map(read)
  }

/** A value that is available only once others have been computed. */
const inputAfter = (block: BlockWriter, x: Lowered, others: readonly Lowered[]): Lowered => {
  const operands = [x, ...others]
  return block.several(
    'stablehlo.optimization_barrier',
    operands,
    operands.map(v => v.aval),
  )[0]
}

const writeEquation = <P extends PrimitiveName>(
  context: LoweringContext,
  primitive: P,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
): readonly Lowered[] => lowerings[primitive](context, inputs, params)

import type { PrimitiveName } from '../program/primitives.js'
import { Var } from '../program/program.js'
import type { Program } from '../program/program.js'
import { linearRules } from './linear.js'

/** Primitives that carry programs or cut derivatives: what they do to a tangent is not looked at here. */
const opaque: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  'call',
  'composite',
  'cond',
  'linearCall',
  'scan',
  'shardMap',
  'stopGradient',
  'while',
])

/** The first primitive of a program that is not linear in the inputs of the mask; undefined if there is none. */
export function firstNonLinear(program: Program, tangents: readonly boolean[]): PrimitiveName | undefined {
  const active = new Set<Var>(program.inputs.filter((_, i) => tangents[i]))
  for (const { primitive, inputs, outputs } of program.equations) {
    const isActive = inputs.map(a => a instanceof Var && active.has(a))
    if (!isActive.includes(true)) continue
    if (!opaque.has(primitive)) {
      const isProduct = primitive === 'mul' || primitive === 'dotGeneral'
      const isWrong = (isProduct && isActive[0] && isActive[1]) || (primitive === 'div' && isActive[1])
      if (isWrong || !(primitive in linearRules)) return primitive
    }
    for (const o of outputs) active.add(o)
  }
  return undefined
}

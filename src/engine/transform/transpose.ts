import { SwitchyardError } from '../../base/errors.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { PrimitiveName } from '../program/primitives.js'
import { is, Lit, Var } from '../program/program.js'
import type { Atom, Equation, Program } from '../program/program.js'
import { bind } from '../program/trace.js'
import { Literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { linearCallTranspose } from './custom-vjp.js'
import { addGathered, avalOf, linearRules, valueOf } from './linear.js'
import type { LinearPrimitive } from './linear.js'
import { transpose as shardMapTranspose } from './shard-map.js'
import * as programs from './transpose-programs.js'
import type { Cotangent, LinearOperand, ProgramTransposeRule, TransposeRule } from './rules.js'

/**
 * Applies the transpose of a program that is linear in some inputs, which are null in `inputs`: from cotangents of the
 * outputs to cotangents of those inputs. First the equations that depend on known inputs only are applied, in order.
 * Then the linear equations are visited from last to first, and each adds to the cotangents of its operands.
 */
export function transposeEval(
  program: Program,
  inputs: readonly (Value | null)[],
  cotangents: readonly Cotangent[],
): Cotangent[] {
  const known = new Map<Var, Value>()
  const linearEquations: Equation[] = []
  program.inputs.forEach((v, i) => {
    if (inputs[i] !== null) known.set(v, inputs[i])
  })
  const value = (a: Atom): Value | undefined => (a instanceof Lit ? new Literal(a.value, a.aval.dtype) : known.get(a))
  for (const eqn of program.equations) {
    const values = eqn.inputs.map(value)
    if (values.some(v => v === undefined)) linearEquations.push(eqn)
    else bind(eqn.primitive, values as Value[], eqn.params).forEach((y, i) => known.set(eqn.outputs[i], y))
  }

  /** For each variable the sum of the cotangents found so far. */
  const sums = new Map<Var, Value>()
  const accumulate = (a: Atom, ct: Cotangent): void => {
    if (ct === null || a instanceof Lit || known.has(a)) return
    const sum = sums.get(a)
    sums.set(a, sum ? ops.add(sum, ct) : ct)
  }
  program.outputs.forEach((o, i) => accumulate(o, cotangents[i]))
  for (const eqn of linearEquations.toReversed()) {
    const cts = eqn.outputs.map(o => sums.get(o) ?? null)
    if (cts.every(ct => ct === null)) continue
    const operands = eqn.inputs.map((a): LinearOperand => {
      const v = value(a)
      return v === undefined ? { linear: a.aval } : { known: v }
    })
    const sum = is(eqn, 'gather') ? sums.get(eqn.inputs[0] as Var) : undefined
    if (sum && is(eqn, 'gather')) {
      // Another gather from the same operand, such as an embedding: adds its rows to the sum, without a new array of
      // zeros.
      sums.set(eqn.inputs[0] as Var, addGathered(sum, cts[0]!, valueOf(operands[1]), eqn.params))
    } else applyRule(eqn, cts, operands).forEach((c, i) => accumulate(eqn.inputs[i], c))
  }
  return program.inputs.map((v, i) => (inputs[i] === null ? (sums.get(v) ?? null) : null))
}

function applyRule(eqn: Equation, cotangents: readonly Cotangent[], operands: readonly LinearOperand[]): Cotangent[] {
  const rule = linearRules[eqn.primitive as LinearPrimitive] as TransposeRule<PrimitiveName> | undefined
  if (rule) return rule(cotangents[0]!, operands, eqn.params)
  const programRule = programRules[eqn.primitive] as ProgramTransposeRule<PrimitiveName> | undefined
  if (programRule) return programRule(cotangents, operands, eqn.params)
  throw new SwitchyardError(
    `${eqn.primitive}(${operands.map(o => formatAval(avalOf(o))).join(', ')}) is not linear, so it has no transpose`,
  )
}

/** The linear primitives that carry programs. */
const programRules: { [P in PrimitiveName]?: ProgramTransposeRule<P> } = {
  linearCall: linearCallTranspose,
  call: programs.call(transposeEval),
  scan: programs.scan(transposeEval),
  cond: programs.cond(transposeEval),
  shardMap: shardMapTranspose(transposeEval),
}

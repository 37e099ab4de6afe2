import { range } from '../../../program/ops.js'
import type { Program } from '../../../program/program.js'
import type { GraphWriter, Lowered } from '../graph.js'
import { Formula } from './formula.js'
import { expanded } from './rule.js'
import type { Lowering, LoweringContext } from './rule.js'

type InContext = Pick<LoweringContext, 'inline'>

/**
 * ONNX's Scan needs a scanned operand. If there is none it scans over a vector of step numbers, which the body ignores.
 */
export const scan: Lowering<'scan'> = (context, operands, { body, numConsts, numCarry, length, reverse }) => {
  const { g, ins, outs, inline } = context
  const inputs = expanded(context, operands)
  const consts = inputs.slice(0, numConsts)
  const carry = inputs.slice(numConsts, numConsts + numCarry)
  const xs = inputs.slice(numConsts + numCarry)
  const rows = xs.map((x, i) => ({ dtype: x.dtype, shape: ins[numConsts + numCarry + i].shape.slice(1) }))
  if (length === 0)
    return [...carry, ...outs.slice(numCarry).map(o => g.expand(g.cast(g.scalar('int32', 0), o.dtype), o.shape))]
  const counting = xs.length === 0
  const scanned = counting ? [g.ints(range(length))] : xs
  const dummy = { dtype: 'int64' as const, shape: [] }
  const graph = g.body(
    [...carry.map(c => ({ dtype: c.dtype, shape: c.shape })), ...(counting ? [dummy] : rows)],
    (b, values) =>
      inline(b, body, [...consts, ...values.slice(0, numCarry), ...(counting ? [] : values.slice(numCarry))]),
  )
  const direction = Number(reverse)
  return g.several('Scan', [...carry, ...scanned], outs, {
    body: graph,
    num_scan_inputs: scanned.length,
    scan_input_directions: scanned.map(() => direction),
    scan_output_directions: outs.slice(numCarry).map(() => direction),
  })
}

/** ONNX's Loop without a maximum number of steps. Its body returns the condition for the next step, then the carry. */
export const whileLoop: Lowering<'while'> = (
  context,
  operands,
  { condition, body, numConditionConsts, numBodyConsts },
) => {
  const { g, outs, inline } = context
  const inputs = expanded(context, operands)
  const conditionConsts = inputs.slice(0, numConditionConsts)
  const bodyConsts = inputs.slice(numConditionConsts, numConditionConsts + numBodyConsts)
  const carry = inputs.slice(numConditionConsts + numBodyConsts)
  const [start] = inline(g, condition, [...conditionConsts, ...carry])
  const none = { name: '', dtype: 'int64', shape: [] } as const
  const graph = g.body(
    [{ dtype: 'int64', shape: [] }, { dtype: 'bool', shape: [] }, ...carry],
    (b, [, , ...values]) => {
      const next = inline(b, body, [...bodyConsts, ...values])
      return [...inline(b, condition, [...conditionConsts, ...next]), ...next]
    },
  )
  return g.several('Loop', [none, start, ...carry], outs, { body: graph })
}

/**
 * A chain of `If`s: the first branch for an index of 0 or less, the next for 1, ..., the last branch for all larger
 * ones.
 */
export const cond: Lowering<'cond'> = (context, [index, ...operands], { branches }) => {
  const { g, ins, outs, inline } = context
  const inputs = operands.map((x, i) => g.expand(x, ins[i + 1].shape))
  // The nodes that select among the branches from `from` on.
  const choose = (at: GraphWriter, from: number): Lowered[] => {
    if (from === branches.length - 1) return inline(at, branches[from], inputs)
    const taken = new Formula(at).test('LessOrEqual', at.reshape(index, []), at.scalar('int32', from))
    return at.several('If', [taken], outs, {
      then_branch: at.body([], b => inline(b, branches[from], inputs)),
      else_branch: at.body([], b => choose(b, from + 1)),
    })
  }
  return choose(g, 0)
}

/** The equations of the subprogram, without a node for the call. */
export const inlined = (
  { g, inline }: Pick<LoweringContext, 'g'> & InContext,
  inputs: readonly Lowered[],
  { program }: { program: Program },
): Lowered[] => inline(g, program, inputs)

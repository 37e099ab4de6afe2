import type { Aval } from '../../../../program/aval.js'
import { integers } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowerings } from './rule.js'

const index: Aval = { dtype: 'int32', shape: [] }

/** Index scalars that select row `i` of an array: i, then zeros. */
const rowStart = (b: BlockWriter, x: Aval, i: Lowered): Lowered[] =>
  x.shape.map((_, axis) => (axis === 0 ? i : b.constant(0, index)))

/** Row `i` of an array, along axis 0. */
function readRow(b: BlockWriter, x: Lowered, i: Lowered): Lowered {
  const { dtype, shape } = x.aval
  const sizes = [1, ...shape.slice(1)]
  const row = b.op(
    'stablehlo.dynamic_slice',
    [x, ...rowStart(b, x.aval, i)],
    { dtype, shape: sizes },
    { slice_sizes: integers(sizes) },
  )
  return ops.reshape(b, row, shape.slice(1))
}

/** The array with row `i` replaced. */
const writeRow = (b: BlockWriter, x: Lowered, i: Lowered, row: Lowered): Lowered =>
  b.op(
    'stablehlo.dynamic_update_slice',
    [x, ops.reshape(b, row, [1, ...row.aval.shape]), ...rowStart(b, x.aval, i)],
    x.aval,
  )

/**
 * A loop over values, the first `numFixed` of which stay the same. `test` and `step` get all of them; `step` returns
 * those that change.
 */
function loop(
  b: BlockWriter,
  values: readonly Lowered[],
  numFixed: number,
  test: (b: BlockWriter, values: readonly Lowered[]) => Lowered,
  step: (b: BlockWriter, values: readonly Lowered[]) => readonly Lowered[],
): Lowered[] {
  const types = values.map(v => v.aval)
  return b
    .several('stablehlo.while', values, types, {}, [
      b.region(types, (inner, now) => [test(inner, now)]),
      b.region(types, (inner, now) => [...now.slice(0, numFixed), ...step(inner, now)]),
    ])
    .slice(numFixed)
}

/** Loops and branches. */
export const controlRules = {
  // Values of the loop: constants, scanned arrays, then a counter, the carry, and the results written so far.
  scan: ({ block, module, outs }, inputs, { body, numConsts, numCarry, length, reverse }) => {
    const consts = inputs.slice(0, numConsts)
    const carry = inputs.slice(numConsts, numConsts + numCarry)
    const xs = inputs.slice(numConsts + numCarry)
    const empty = outs.slice(numCarry).map(o => block.constant(0, o))
    if (length === 0) return [...carry, ...empty]
    const fixed = [...consts, ...xs]
    const n = fixed.length
    const [, ...results] = loop(
      block,
      [...fixed, block.constant(0, index), ...carry, ...empty],
      n,
      (b, now) => ops.compare(b, 'LT', now[n], b.constant(length, index)),
      (b, now) => {
        const count = now[n]
        const at = reverse ? ops.elementwise(b, 'subtract', b.constant(length - 1, index), count) : count
        const rows = now.slice(numConsts, n).map(x => readRow(b, x, at))
        const next = module.inline(b, body, [
          ...now.slice(0, numConsts),
          ...now.slice(n + 1, n + 1 + numCarry),
          ...rows,
        ])
        const written = now.slice(n + 1 + numCarry).map((y, i) => writeRow(b, y, at, next[numCarry + i]))
        return [ops.elementwise(b, 'add', count, b.constant(1, index)), ...next.slice(0, numCarry), ...written]
      },
    )
    return results
  },

  while: ({ block, module }, inputs, { condition, body, numConditionConsts, numBodyConsts }) => {
    const numConsts = numConditionConsts + numBodyConsts
    return loop(
      block,
      inputs,
      numConsts,
      (b, now) => module.inline(b, condition, [...now.slice(0, numConditionConsts), ...now.slice(numConsts)])[0],
      (b, now) => module.inline(b, body, now.slice(numConditionConsts)),
    )
  },

  // StableHLO's case takes the last branch for every index out of range, so the index is clamped. The branches read
  // the operands from outside.
  cond: ({ block, module, outs }, [given, ...operands], { branches }) => {
    const chosen = ops.clampTo(block, given, 0, branches.length - 1)
    const regions = branches.map(branch => block.region([], b => module.inline(b, branch, operands)))
    return block.several('stablehlo.case', [chosen], outs, {}, regions)
  },
} satisfies Lowerings

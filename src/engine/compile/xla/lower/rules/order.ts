import { integer } from '../mlir.js'
import * as ops from '../ops.js'
import type { BlockWriter, Lowered } from '../writer.js'
import type { Lowerings } from './rule.js'

/** Whether x comes before y: ascending, or descending; NaN is greater than all numbers. */
function precedes(b: BlockWriter, x: Lowered, y: Lowered, descending: boolean): Lowered {
  const [low, high] = descending ? [y, x] : [x, y]
  const isLess = ops.compare(b, 'LT', low, high)
  const [lowIsNaN, highIsNaN] = [ops.isNaNOf(b, low), ops.isNaNOf(b, high)]
  if (!lowIsNaN || !highIsNaN) return isLess
  return ops.elementwise(b, 'or', isLess, ops.compare(b, 'LT', lowIsNaN, highIsNaN))
}

/** A stable sort by the first operand. */
function sorted(b: BlockWriter, inputs: readonly Lowered[], axis: number, descending: boolean): Lowered[] {
  const scalars = inputs.flatMap(x => {
    const scalar = { dtype: x.aval.dtype, shape: [] }
    return [scalar, scalar]
  })
  return b.several(
    'stablehlo.sort',
    inputs,
    inputs.map(x => x.aval),
    { dimension: integer(axis), is_stable: 'true' },
    [b.region(scalars, (inner, [x, y]) => [precedes(inner, x, y, descending)])],
  )
}

/** Sorting and selection of the largest. */
export const orderRules = {
  sort: ({ block }, inputs, { axis }) => sorted(block, inputs, axis, false),
  topK: ({ block, outs }, [x], { k }) => {
    const { shape } = x.aval
    const axis = shape.length - 1
    if (outs[0].shape.includes(0)) return outs.map(o => block.constant(0, o))
    const all = sorted(block, [x, ops.iota(block, 'int32', shape, axis)], axis, true)
    return all.map(y =>
      ops.slice(
        block,
        y,
        shape.map(() => 0),
        shape.map((d, i) => (i === axis ? k : d)),
      ),
    )
  },
} satisfies Lowerings

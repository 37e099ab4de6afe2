/** Products of vectors, matrices and tensors. */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import { broadcastShapes, normalizeAxes } from '../values.js'
import { contract } from './contract.js'
import { multiply } from './elementwise.js'
import { commonDtype, lift } from './operands.js'

export { einsum } from './einsum.js'

/** NumPy's matrix product: 1-D operands are vectors, leading axes are batched and broadcast. */
export function matmul(x: Tensor, y: Tensor): Tensor {
  check(x.ndim > 0 && y.ndim > 0, () => `matmul(${x}, ${y}) needs operands of one dimension or more`)
  const inner = x.shape[x.ndim - 1]
  check(
    inner === y.shape[Math.max(0, y.ndim - 2)],
    () => `matmul(${x}, ${y}): the inner lengths ${inner} and ${y.shape[Math.max(0, y.ndim - 2)]} differ`,
  )
  const batch = (a: Tensor): string[] => ops.range(Math.max(0, a.ndim - 2)).map(i => `batch ${a.ndim - 2 - i}`)
  const leading = [x, y].map(batch).reduce((a, b) => (a.length < b.length ? b : a))
  const [row, column] = [x.ndim === 1 ? [] : ['row'], y.ndim === 1 ? [] : ['column']]
  const dtype = commonDtype(x, y)
  broadcastShapes(x.shape.slice(0, -2), y.shape.slice(0, -2))
  return new Tensor(
    contract(
      [
        { value: lift(x, dtype), labels: [...batch(x), ...row, 'inner'] },
        { value: lift(y, dtype), labels: [...batch(y), 'inner', ...column] },
      ],
      [...leading, ...row, ...column],
    ),
  )
}

/** Sums products over pairs of axes: the last n of x with the first n of y, or the axes listed. Output: x's other axes, then y's. */
export function tensordot(
  x: Tensor,
  y: Tensor,
  axes: number | readonly [readonly number[], readonly number[]] = 2,
): Tensor {
  const [ofX, ofY] = typeof axes === 'number' ? [ops.range(axes, x.ndim - axes), ops.range(axes)] : axes
  const dtype = commonDtype(x, y)
  return new Tensor(
    ops.dotGeneral(lift(x, dtype), lift(y, dtype), {
      contract: [normalizeAxes(ofX, x.ndim), normalizeAxes(ofY, y.ndim)],
      batch: [[], []],
    }),
  )
}

/** NumPy's dot: over the last axis of x and the last but one of y (its only one, if it has one); a scalar multiplies. */
export function dot(x: Tensor, y: Tensor): Tensor {
  return x.ndim === 0 || y.ndim === 0 ? multiply(x, y) : tensordot(x, y, [[x.ndim - 1], [Math.max(0, y.ndim - 2)]])
}

/** All products of an element of x (rows) with one of y (columns). */
export function outer(x: Tensor, y: Tensor): Tensor {
  const dtype = commonDtype(x, y)
  const [a, b] = [x, y].map(v => ops.reshape(lift(v, dtype), [v.size]))
  return new Tensor(ops.dotGeneral(a, b, { contract: [[], []], batch: [[], []] }))
}

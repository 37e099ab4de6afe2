/** Elements by position: see also `Tensor.get` and `Tensor.at`. */
import { check } from '../../../base/errors.js'
import { sameShape } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import { normalizeAxis } from '../values.js'

export { slice } from '../indexing.js'

/** Rows of x along an axis, by integer indices of any shape; indices out of bounds are moved to the edge. */
export function take(x: Tensor, indices: Tensor, axis = 0): Tensor {
  const at = normalizeAxis(axis, x.ndim)
  const gathered = ops.gather(x.value, ops.reshape(indices.value, [...indices.shape, 1]), {
    axes: [at],
    batchDims: 0,
    mode: 'clip',
  })
  // The gathered axes come first: put them where the axis was.
  const n = indices.ndim
  return new Tensor(
    ops.transpose(gathered, [...ops.range(at, n), ...ops.range(n), ...ops.range(x.ndim - 1 - at, n + at)]),
  )
}

/** For each place of `indices`, which differs from x in one axis only, the element of x at that index of the axis; indices out of bounds are moved to the edge. */
export function takeAlongAxis(x: Tensor, indices: Tensor, axis = -1): Tensor {
  const at = normalizeAxis(axis, x.ndim)
  const others = (a: Tensor): number[] => a.shape.filter((_, i) => i !== at)
  check(
    indices.ndim === x.ndim && sameShape(others(x), others(indices)),
    () => `takeAlongAxis: ${x} and indices ${indices} may differ in axis ${at} only`,
  )
  const last = x.ndim - 1
  const positions = ops.moveAxis(indices.value, at, last)
  const rows = ops.gather(ops.moveAxis(x.value, at, last), ops.reshape(positions, [...positions.shape, 1]), {
    axes: [last],
    batchDims: last,
    mode: 'clip',
  })
  return new Tensor(ops.moveAxis(rows, last, at))
}

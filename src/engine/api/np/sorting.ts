/** Order along an axis. NaN counts as the greatest. */
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import { normalizeAxis } from '../values.js'

/** In ascending order along an axis. */
export const sort = (x: Tensor, axis = -1): Tensor => new Tensor(ops.sort([x.value], normalizeAxis(axis, x.ndim))[0])

/** The positions (int32) of the elements in ascending order, the earlier first among equals. */
export function argsort(x: Tensor, axis = -1): Tensor {
  const at = normalizeAxis(axis, x.ndim)
  return new Tensor(ops.sort([x.value, ops.iota('int32', x.shape, at)], at)[1])
}

/** The k greatest elements along the last axis, in descending order, and their positions (int32). */
export function topK(x: Tensor, k: number): [values: Tensor, positions: Tensor] {
  const [values, positions] = ops.topK(x.value, k)
  return [new Tensor(values), new Tensor(positions)]
}

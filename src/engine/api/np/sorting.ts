/**
 * Order along an axis (the last unless given): sort, argsort, lexsort, topK, searchsorted, digitize. NaN counts as the
 * greatest. Elements that are equal keep their order.
 */
import { isFloat } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { normalizeAxis } from '../values.js'
import { asTensor, commonDtype, lift } from './operands.js'

/** Options of `sort` and `argsort`. */
export interface SortOptions {
  /** From the greatest to the least, NaN first; equal elements keep their order. false unless given. */
  descending?: boolean
}

/** x sorted along an axis, or with `withPositions` the positions that sort it. bool is sorted as int32. */
function ordered(x: TensorLike, axis: number, descending: boolean, withPositions: boolean): Value {
  const { value, ndim, shape, dtype } = asTensor(x)
  const at = normalizeAxis(axis, ndim)
  const key = dtype === 'bool' ? ops.convertElementType(value, 'int32') : value
  // Descending and stable: sort the reversed axis, and reverse the result.
  const turn = (v: Value): Value => (descending ? ops.rev(v, [at]) : v)
  const operands = withPositions ? [key, ops.iota('int32', shape, at)] : [key]
  const sorted = ops.sort(operands.map(turn), at)
  const result = turn(sorted[sorted.length - 1])
  return withPositions ? result : ops.convertElementType(result, dtype)
}

/** The elements in ascending order along an axis. */
export function sort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  const { descending = false } = readOptions('np.sort', options, ['descending'])
  return new Tensor(ordered(x, axis, descending, false))
}

/** The positions (int32) of the elements in ascending order along an axis, the earlier first among equals. */
export function argsort(x: TensorLike, axis = -1, options: SortOptions = {}): Tensor {
  const { descending = false } = readOptions('np.argsort', options, ['descending'])
  return new Tensor(ordered(x, axis, descending, true))
}

/**
 * The positions (int32) that sort by several keys of one shape along an axis: by the last key, then, where it is equal,
 * by the one before, and so on, as in NumPy.
 */
export function lexsort(keys: readonly TensorLike[], axis = -1): Tensor {
  check(keys.length > 0, 'lexsort needs a key or more')
  const operands = keys.map(asTensor)
  const at = normalizeAxis(axis, operands[0].ndim)
  let positions = ops.iota('int32', operands[0].shape, at)
  const last = operands[0].ndim - 1
  for (const { value, dtype } of operands) {
    const key = ops.moveAxis(dtype === 'bool' ? ops.convertElementType(value, 'int32') : value, at, last)
    const index = ops.reshape(ops.moveAxis(positions, at, last), [...key.shape, 1])
    const arranged = ops.gather(key, index, { axes: [last], batchDims: last, mode: 'clip' })
    positions = ops.sort([ops.moveAxis(arranged, last, at), positions], at)[1]
  }
  return new Tensor(positions)
}

/** The k greatest elements along the last axis, in descending order, and their positions (int32). JAX's `lax.top_k`. */
export function topK(x: TensorLike, k: number): [values: Tensor, positions: Tensor] {
  const [values, positions] = ops.topK(asTensor(x).value, k)
  return [new Tensor(values), new Tensor(positions)]
}

/**
 * In vectors of up to this length, `searchsorted` compares each value with every element; in longer ones it bisects.
 */
const COMPARED_WHOLE = 32

/**
 * For each value the position (int32) in a sorted vector before which it belongs: side 'left' (unless given) before
 * equal elements, 'right' behind them. NaN counts as the greatest.
 */
export function searchsorted(
  sorted: TensorLike,
  values: TensorLike,
  options: { side?: 'left' | 'right' } = {},
): Tensor {
  const { side = 'left' } = readOptions('np.searchsorted', options, ['side'])
  const [vector, wanted] = [asTensor(sorted), asTensor(values)]
  check(vector.ndim === 1, () => `searchsorted looks in a sorted vector, not in ${vector}`)
  check(side === 'left' || side === 'right', () => `the side of searchsorted is 'left' or 'right', not ${String(side)}`)
  const dtype = commonDtype(vector, wanted)
  const isNan = (v: Value): Value => (isFloat(dtype) ? ops.ne(v, v) : ops.full(v.shape, false, 'bool'))
  const isBefore = (element: Value, value: Value): Value =>
    side === 'left'
      ? ops.or(ops.lt(element, value), ops.and(isNan(value), ops.not(isNan(element))))
      : ops.or(ops.le(element, value), isNan(value))
  const find = vector.size <= COMPARED_WHOLE ? countBefore : searchByHalves
  return new Tensor(find(lift(vector, dtype), lift(wanted, dtype), isBefore))
}

type IsBefore = (element: Value, value: Value) => Value

/** How many elements of a vector are before each value, by comparing with every element. */
function countBefore(vector: Value, values: Value, isBefore: IsBefore): Value {
  const shape = [...values.shape, vector.size]
  const last = values.ndim
  const element = ops.broadcastInDim(vector, shape, [last])
  const value = ops.broadcastInDim(values, shape, ops.range(last))
  return ops.reduceSum(ops.convertElementType(isBefore(element, value), 'int32'), [last])
}

/** How many elements of a sorted vector are before each value: the count's binary digits, the highest first. */
function searchByHalves(vector: Value, values: Value, isBefore: IsBefore): Value {
  const n = vector.size
  let count = ops.full(values.shape, 0, 'int32')
  for (let digit = 2 ** Math.floor(Math.log2(n)); digit >= 1; digit /= 2) {
    const next = ops.add(count, digit)
    const position = ops.reshape(ops.sub(next, 1), [...values.shape, 1])
    const element = ops.gather(vector, position, { axes: [0], batchDims: 0, mode: 'clip' })
    count = ops.select(ops.and(ops.le(next, n), isBefore(element, values)), next, count)
  }
  return count
}

/**
 * The number (int32) of the bin of each value, between the edges of a rising or falling vector: i where bins[i-1] <= x
 * < bins[i]; with `right` bins[i-1] < x <= bins[i]. `falling` says that the edges fall (NumPy sees it from the data).
 */
export function digitize(
  x: TensorLike,
  bins: TensorLike,
  options: { right?: boolean; falling?: boolean } = {},
): Tensor {
  const { right = false, falling = false } = readOptions('np.digitize', options, ['right', 'falling'])
  const side = right ? 'left' : 'right'
  if (!falling) return searchsorted(bins, x, { side })
  const edges = asTensor(bins)
  const reversed = new Tensor(ops.rev(edges.value, [0]))
  const before = searchsorted(reversed, x, { side })
  return new Tensor(ops.sub(ops.full(before.shape, edges.size, 'int32'), before.value))
}

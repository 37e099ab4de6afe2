/**
 * Arrays as sets: unique, isin, union1d, intersect1d, setdiff1d, setxor1d. How many elements such a set has depends on
 * data: its `size` is given, as in JAX under `jit`.
 */
import { isFloat } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape } from '../values.js'
import { asTensor, commonDtype, lift } from './operands.js'
import { take } from './indexing.js'
import { ravel } from './shape.js'
import { searchsorted, sort } from './sorting.js'
import { concatenate } from './joining.js'

/** The size of a set. */
export interface SetOptions {
  /** The length of the result. Elements beyond it, the greatest ones, are left out. */
  size: number
  /** The value that fills the end of the result if there are fewer elements (default: the least element, as in JAX). */
  fillValue?: number
}

/** What `unique` returns: all of length `size` but `inverse`. */
export interface Unique {
  /** The distinct elements, in ascending order. */
  values: Tensor
  /** The position in the flattened x where each value occurs first: int32. */
  index: Tensor
  /** For each element of x, the index of its value in `values`: int32, of x's shape. */
  inverse: Tensor
  /** How often each value occurs: int32, 0 in the filled end. */
  counts: Tensor
}

/** The options of the function `np[name]`. */
const sizeOptions = (name: string, options: SetOptions): SetOptions =>
  readOptions(`np.${name}`, options, ['size', 'fillValue'], 'size')

const at = (index: Value): Value => ops.reshape(index, [...index.shape, 1])
/** Whether elements differ. All NaN are one element. */
function differ(a: Value, b: Value): Value {
  if (!isFloat(a.dtype)) return ops.ne(a, b)
  return ops.and(ops.ne(a, b), ops.not(ops.and(ops.ne(a, a), ops.ne(b, b))))
}

const rule = { axes: [0], batchDims: 0, mode: 'drop' } as const

/**
 * The distinct elements of the flattened x and where they are. All NaN are one element, the greatest. Throws a
 * ShapeError for an empty x with a size of 1 or more and no `fillValue`.
 */
export function uniqueAll(x: TensorLike, options: SetOptions): Unique {
  const { size, fillValue } = sizeOptions('uniqueAll', options)
  checkShape([size])
  const operand = asTensor(x)
  const n = operand.size
  check(
    n > 0 || size === 0 || fillValue !== undefined,
    () => `unique of ${operand}: give a fillValue for ${size} elements`,
  )
  const flat = ravel(operand).value
  const isBool = operand.dtype === 'bool'
  const key = isBool ? ops.convertElementType(flat, 'int32') : flat
  const [sorted, order] = n === 0 ? [key, ops.iota('int32', [0], 0)] : ops.sort([key, ops.iota('int32', [n], 0)], 0)
  const next = n === 0 ? sorted : ops.slice(sorted, [1], [n])
  const own = n === 0 ? sorted : ops.slice(sorted, [0], [n - 1])
  const isFirst =
    n === 0 ? ops.full([0], true, 'bool') : ops.concatenate([ops.full([1], true, 'bool'), differ(next, own)], 0)
  // The rank of each element's value among the distinct values. Ranks from `size` on are out of bounds and not written.
  const rank = ops.sub(ops.cumsum(ops.convertElementType(isFirst, 'int32'), 0), 1)
  const place = at(ops.select(isFirst, rank, size))
  const filler =
    fillValue === undefined && n > 0
      ? ops.broadcastInDim(ops.slice(sorted, [0], [1]), [size], [0])
      : ops.broadcastInDim(lift(fillValue ?? 0, key.dtype), [size], [])
  const values = ops.scatter(filler, place, sorted, rule)
  const first = n === 0 ? ops.full([size], 0, 'int32') : ops.broadcastInDim(ops.slice(order, [0], [1]), [size], [0])
  const counts = ops.scatterAdd(ops.full([size], 0, 'int32'), at(rank), ops.full([n], 1, 'int32'), rule)
  const inverse = ops.scatter(ops.full([n], 0, 'int32'), at(order), rank, rule)
  return {
    values: new Tensor(ops.convertElementType(values, operand.dtype)),
    index: new Tensor(ops.scatter(first, place, order, rule)),
    inverse: new Tensor(ops.reshape(inverse, operand.shape)),
    counts: new Tensor(counts),
  }
}

/** The distinct elements of the flattened x, in ascending order: [size]. All NaN are one element. See `uniqueAll`. */
export const unique = (x: TensorLike, options: SetOptions): Tensor =>
  uniqueAll(x, sizeOptions('unique', options)).values

/**
 * For each element of x whether it is in y (or, with `invert`, whether it is not): bool, of x's shape. NaN is in
 * nothing.
 */
export function isin(x: TensorLike, y: TensorLike, options: { invert?: boolean } = {}): Tensor {
  const { invert = false } = readOptions('np.isin', options, ['invert'])
  const [element, set] = [asTensor(x), asTensor(y)]
  if (set.size === 0) return new Tensor(ops.full(element.shape, invert, 'bool'))
  const dtype = commonDtype(element, set)
  const own = lift(element, dtype)
  const sorted = sort(new Tensor(ops.reshape(lift(set, dtype), [set.size])))
  const nearest = take(sorted, searchsorted(sorted, new Tensor(own)), 0, { mode: 'clip' }).value
  return new Tensor(invert ? ops.ne(own, nearest) : ops.eq(own, nearest))
}

/** The distinct elements that x or y has, in ascending order: [size]. */
export const union1d = (x: TensorLike, y: TensorLike, options: SetOptions): Tensor => {
  const dtype = commonDtype(x, y)
  const [a, b] = [x, y].map(v => ravel(new Tensor(lift(v, dtype))))
  return unique(concatenate([a, b]), sizeOptions('union1d', options))
}

/** The distinct elements of x that are kept, in ascending order, then the filler (0 unless given). */
function distinctWhere(x: Tensor, isKept: Tensor, { size, fillValue = 0 }: SetOptions): Tensor {
  checkShape([size])
  const flat = ravel(x).value
  const isBool = flat.dtype === 'bool'
  const key = isBool ? ops.convertElementType(flat, 'int32') : flat
  const dropped = ops.convertElementType(ops.not(ravel(isKept).value), 'int32')
  const n = key.size
  const empty = ops.broadcastInDim(lift(fillValue, key.dtype), [size], [])
  if (n === 0) return new Tensor(ops.convertElementType(empty, x.dtype))
  // Sorts by value, and within equal values the kept elements before the dropped ones.
  const [values, droppedByValue] = ops.sort([key, dropped], 0)
  const [sortedDropped, sorted] = ops.sort([droppedByValue, values], 0)
  const isNew = ops.concatenate(
    [ops.full([1], true, 'bool'), differ(ops.slice(sorted, [1], [n]), ops.slice(sorted, [0], [n - 1]))],
    0,
  )
  const counted = ops.and(isNew, ops.eq(sortedDropped, 0))
  const rank = ops.sub(ops.cumsum(ops.convertElementType(counted, 'int32'), 0), 1)
  const result = ops.scatter(empty, at(ops.select(counted, rank, size)), sorted, rule)
  return new Tensor(ops.convertElementType(result, x.dtype))
}

/** The distinct elements that x and y both have, in ascending order: [size], the end filled with 0 unless given. */
export const intersect1d = (x: TensorLike, y: TensorLike, options: SetOptions): Tensor => {
  const operand = new Tensor(lift(x, commonDtype(x, y)))
  return distinctWhere(operand, isin(operand, y), sizeOptions('intersect1d', options))
}

/** The distinct elements of x that y has not, in ascending order: [size], the end filled with 0 unless given. */
export const setdiff1d = (x: TensorLike, y: TensorLike, options: SetOptions): Tensor => {
  const operand = asTensor(x)
  return distinctWhere(operand, isin(operand, y, { invert: true }), sizeOptions('setdiff1d', options))
}

/**
 * The distinct elements that just one of x and y has, in ascending order: [size], the end filled with 0 unless given.
 */
export const setxor1d = (x: TensorLike, y: TensorLike, options: SetOptions): Tensor => {
  const dtype = commonDtype(x, y)
  const [a, b] = [x, y].map(v => ravel(new Tensor(lift(v, dtype))))
  const alone = concatenate([isin(a, b, { invert: true }), isin(b, a, { invert: true })])
  return distinctWhere(concatenate([a, b]), alone, sizeOptions('setxor1d', options))
}

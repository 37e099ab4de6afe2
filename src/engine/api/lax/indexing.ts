/** Contraction, indexing, order and random bits. Axes are numbers from 0 on unless said otherwise. */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { DotParams, GatherParams, ScatterParams } from '../../program/primitives.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { normalizeAxis } from '../values.js'
import { operand, operands } from './operands.js'

/** Sums of products over the contracted axes. The result's axes: the batch axes, the other axes of x, those of y. */
export const dotGeneral = (x: TensorLike, y: TensorLike, params: DotParams): Tensor =>
  new Tensor(ops.dotGeneral(operand('dotGeneral', 'x', x), operand('dotGeneral', 'y', y), params))
/** Slices of x at integer indices: see GatherParams. */
export const gather = (x: TensorLike, indices: TensorLike, params: GatherParams): Tensor =>
  new Tensor(ops.gather(operand('gather', 'x', x), operand('gather', 'indices', indices), params))
/** x with the slices that `gather` reads replaced. Of repeated indices any one counts: see ScatterParams. */
export const scatter = (x: TensorLike, indices: TensorLike, updates: TensorLike, params: ScatterParams): Tensor =>
  new Tensor(
    ops.scatter(
      operand('scatter', 'x', x),
      operand('scatter', 'indices', indices),
      operand('scatter', 'updates', updates),
      params,
    ),
  )
/** x with updates added to the slices that `gather` reads, once for each index. */
export const scatterAdd = (x: TensorLike, indices: TensorLike, updates: TensorLike, params: GatherParams): Tensor =>
  new Tensor(
    ops.scatterAdd(
      operand('scatterAdd', 'x', x),
      operand('scatterAdd', 'indices', indices),
      operand('scatterAdd', 'updates', updates),
      params,
    ),
  )

export interface SortOptions {
  /** How many of the arrays are keys, the first being the most significant (default 1). */
  numKeys?: number
}

/**
 * Arrays of one shape, sorted together along an axis in ascending order of the first `numKeys` of them. Stable; NaN is
 * greater than all numbers.
 */
export function sort(xs: readonly TensorLike[], axis: number, options: SortOptions = {}): Tensor[] {
  const { numKeys = 1 } = readOptions('lax.sort', options, ['numKeys'])
  const values = operands('sort', xs)
  check(
    Number.isInteger(numKeys) && numKeys >= 1 && numKeys <= values.length,
    () => `lax.sort: numKeys must be between 1 and ${values.length}, the number of arrays, not ${numKeys}`,
  )
  const at = normalizeAxis(axis, values[0].ndim)
  // Stable sorts by the least significant key first leave the order of all keys.
  let sorted = values
  for (let key = numKeys - 1; key >= 0; key--) {
    const [first, ...rest] = ops.sort([sorted[key], ...sorted.toSpliced(key, 1)], at)
    sorted = rest.toSpliced(key, 0, first)
  }
  return sorted.map(v => new Tensor(v))
}

/** The k greatest elements along an axis (the last unless given), in descending order, and their positions (int32). */
export function topK(x: TensorLike, k: number, axis = -1): [values: Tensor, positions: Tensor] {
  const v = operand('topK', 'x', x)
  const at = normalizeAxis(axis, v.ndim)
  const last = v.ndim - 1
  const [values, positions] = ops.topK(ops.moveAxis(v, at, last), k).map(y => new Tensor(ops.moveAxis(y, last, at)))
  return [values, positions]
}

/** threefry2x32(key0, key1, count0, count1), all uint32 of one shape: two words of random bits for each element. */
export const threefry2x32 = (inputs: readonly TensorLike[]): Tensor[] =>
  ops.threefry2x32(operands('threefry2x32', inputs)).map(v => new Tensor(v))

/**
 * Matrices: their diagonals and triangles.
 *
 * - new ones: eye, identity, tri, vander, diagflat
 * - diagonals: diag, diagonal, trace, fillDiagonal, diagIndices
 * - triangles: tril, triu, trilIndices, triuIndices
 *
 * Functions of matrices take the last two axes of an array as the matrix, and do the same for all leading axes.
 */
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { defaultEngine } from '../engine.js'
import { checkShape, normalizeAxis, stretch } from '../values.js'
import { array } from './creation.js'
import { asTensor, lift } from './operands.js'
import { sum } from './reductions.js'

/** Whether column - row =, <= or >= k, for each element of the last two axes: bool. */
function places(relation: 'eq' | 'le' | 'ge', shape: readonly number[], k: number): Value {
  check(Number.isInteger(k), () => `a diagonal is a whole number, not ${k}`)
  defaultEngine()
  const [row, column] = [shape.length - 2, shape.length - 1].map(axis => ops.iota('int32', shape, axis))
  return ops[relation](column, k === 0 ? row : ops.add(row, k))
}

/** Ones where column - row = k, zeros elsewhere: the identity of n rows, unless `columns` or `k` say otherwise. */
export function eye(n: number, columns = n, options: { k?: number; dtype?: DType } = {}): Tensor {
  const { k = 0, dtype = 'float32' } = readOptions('np.eye', options, ['k', 'dtype'])
  checkShape([n, columns])
  return new Tensor(ops.convertElementType(places('eq', [n, columns], k), dtype))
}

/** The identity matrix of n rows. */
export const identity = (n: number, dtype: DType = 'float32'): Tensor => eye(n, n, { dtype })

/** Ones at and below diagonal k (column - row <= k), zeros above: [n, columns], float32 unless given. */
export function tri(n: number, columns = n, options: { k?: number; dtype?: DType } = {}): Tensor {
  const { k = 0, dtype = 'float32' } = readOptions('np.tri', options, ['k', 'dtype'])
  checkShape([n, columns])
  return new Tensor(ops.convertElementType(places('le', [n, columns], k), dtype))
}

const triangle = (relation: 'le' | 'ge', x: TensorLike, k: number): Tensor => {
  const { value, ndim, shape } = asTensor(x)
  check(ndim >= 2, () => `tril and triu need two axes or more, not ${asTensor(x)}`)
  return new Tensor(ops.select(places(relation, shape, k), value, ops.zerosLike(value)))
}

/** The lower triangles of matrices [..., rows, columns], zeros above diagonal k. */
export const tril = (x: TensorLike, k = 0): Tensor => triangle('le', x, k)

/** The upper triangles of matrices [..., rows, columns], zeros below diagonal k. */
export const triu = (x: TensorLike, k = 0): Tensor => triangle('ge', x, k)

/**
 * The elements where column - row = k, of the matrices along two axes (the first two unless given, as in NumPy).
 * Output: the other axes, then the diagonal.
 */
export function diagonal(x: TensorLike, options: { k?: number; axes?: readonly [number, number] } = {}): Tensor {
  const { k = 0, axes = [0, 1] } = readOptions('np.diagonal', options, ['k', 'axes'])
  const { value, ndim } = asTensor(x)
  check(ndim >= 2, () => `diagonal needs two axes or more, not ${asTensor(x)}`)
  check(Number.isInteger(k), () => `a diagonal is a whole number, not ${k}`)
  const [row, column] = axes.map(axis => normalizeAxis(axis, ndim))
  check(row !== column, () => `diagonal needs two different axes, not [${axes}]`)
  const others = ops.range(ndim).filter(axis => axis !== row && axis !== column)
  const matrices = ops.transpose(value, [...others, row, column])
  const leading = matrices.shape.slice(0, -2)
  const [rows, columns] = matrices.shape.slice(-2)
  const length = Math.max(0, Math.min(rows - Math.max(0, -k), columns - Math.max(0, k)))
  // In the flattened matrix the diagonal is every (columns + 1)-th element.
  const start = Math.max(0, -k) * columns + Math.max(0, k)
  const flat = ops.reshape(matrices, [...leading, rows * columns])
  if (length === 0) return new Tensor(ops.slice(flat, leading.map(() => 0).concat(0), [...leading, 0]))
  return new Tensor(
    ops.slice(
      flat,
      [...leading.map(() => 0), start],
      [...leading, start + (length - 1) * (columns + 1) + 1],
      [...leading.map(() => 1), columns + 1],
    ),
  )
}

/**
 * Of a vector [n] the matrix [n + |k|, n + |k|] that has it on diagonal k, zeros elsewhere; of a matrix its diagonal k.
 */
export function diag(x: TensorLike, k = 0): Tensor {
  const operand = asTensor(x)
  check(operand.ndim === 1 || operand.ndim === 2, () => `diag takes a vector or a matrix, not ${operand}`)
  if (operand.ndim === 2) return diagonal(operand, { k })
  check(Number.isInteger(k), () => `a diagonal is a whole number, not ${k}`)
  const n = operand.size + Math.abs(k)
  const zero = ops.full([], 0, operand.dtype)
  const padded = ops.pad(operand.value, zero, [Math.max(0, k)], [Math.max(0, -k)])
  const rows = ops.broadcastInDim(padded, [n, n], [1])
  return new Tensor(ops.select(places('eq', [n, n], k), rows, ops.zerosLike(rows)))
}

/** The matrix with the elements of the flattened x on diagonal k, zeros elsewhere. */
export const diagflat = (x: TensorLike, k = 0): Tensor => {
  const { value, size } = asTensor(x)
  return diag(new Tensor(ops.reshape(value, [size])), k)
}

/** The sum of a diagonal: see `diagonal` and, for dtypes, `sum`. */
export const trace = (x: TensorLike, options: { k?: number; axes?: readonly [number, number] } = {}): Tensor =>
  sum(diagonal(x, readOptions('np.trace', options, ['k', 'axes'])), { axis: -1 })

/**
 * Matrices [..., n, m] with `value` (broadcast to [..., n]) on their diagonals. A new array: NumPy's changes x itself.
 */
export function fillDiagonal(x: TensorLike, value: TensorLike): Tensor {
  const operand = asTensor(x)
  check(operand.ndim >= 2, () => `fillDiagonal needs two axes or more, not ${operand}`)
  const filler = lift(value, operand.dtype)
  const column = ops.reshape(filler, filler.ndim === 0 ? [] : [...filler.shape, 1])
  return new Tensor(ops.select(places('eq', operand.shape, 0), stretch(column, operand.shape), operand.value))
}

/** The positions [n] of the diagonal of an array of `ndim` axes, one int32 array an axis: for `get` and `at`. */
export const diagIndices = (n: number, ndim = 2): Tensor[] => {
  checkShape([n])
  return ops.range(ndim).map(() => array(ops.range(n), 'int32'))
}

const triangleIndices = (isInside: (difference: number) => boolean, n: number, columns: number): [Tensor, Tensor] => {
  checkShape([n, columns])
  const found = ops.range(n).flatMap(i => ops.range(columns).flatMap(j => (isInside(j - i) ? [[i, j]] : [])))
  return [
    array(
      found.map(p => p[0]),
      'int32',
    ),
    array(
      found.map(p => p[1]),
      'int32',
    ),
  ]
}

/** The rows and columns (int32) of the places at and below diagonal k of a matrix [n, columns]. */
export const trilIndices = (n: number, k = 0, columns = n): [rows: Tensor, columns: Tensor] =>
  triangleIndices(difference => difference <= k, n, columns)

/** The rows and columns (int32) of the places at and above diagonal k of a matrix [n, columns]. */
export const triuIndices = (n: number, k = 0, columns = n): [rows: Tensor, columns: Tensor] =>
  triangleIndices(difference => difference >= k, n, columns)

/**
 * Powers of the elements of a vector [m]: [m, n], x^(n-1) ... x^0 in each row, or x^0 ... x^(n-1) if `increasing`. n is
 * m unless given. Keeps integers; bool becomes int32.
 */
export function vander(x: TensorLike, n?: number, options: { increasing?: boolean } = {}): Tensor {
  const { increasing = false } = readOptions('np.vander', options, ['increasing'])
  const operand = asTensor(x)
  check(operand.ndim === 1, () => `vander takes a vector, not ${operand}`)
  const columns = n ?? operand.size
  checkShape([columns])
  const { shape, dtype } = operand
  const base = lift(operand, dtype === 'bool' ? 'int32' : dtype)
  const powers: Value[] = []
  for (let i = 0; i < columns; i++) powers.push(i === 0 ? ops.full(shape, 1, base.dtype) : ops.mul(powers[i - 1], base))
  if (columns === 0) return new Tensor(ops.full([...shape, 0], 0, base.dtype))
  const ordered = increasing ? powers : powers.toReversed()
  return new Tensor(
    ops.concatenate(
      ordered.map(p => ops.reshape(p, [...shape, 1])),
      1,
    ),
  )
}

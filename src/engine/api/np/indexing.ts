/**
 * Elements by position: take, takeAlongAxis, putAlongAxis, slice, and positions of elements: nonzero, flatnonzero,
 * argwhere, compress, extract, unravelIndex, ravelMultiIndex. See also `Tensor.get` and `Tensor.at`.
 *
 * Positions are integers; negative ones count from the end. Functions whose result would have a shape that depends on
 * data take its `size`, as in JAX under `jit`.
 */
import { extremeOf, isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sizeOf, stridesOf } from '../../../base/host-tensor.js'
import { sameShape } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { fromTheEnd } from '../indexing.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape, normalizeAxis, stretch } from '../values.js'
import type { Shape } from '../values.js'
import { floorDivide, remainder } from './arithmetic.js'
import { asIndices, asTensor, broadcast, lift, truth } from './operands.js'
import { ravel } from './shape.js'

export { slice } from '../indexing.js'

const column = (positions: Value): Value => ops.reshape(positions, [...positions.shape, 1])

/** Options of `take`. */
export interface TakeOptions {
  /**
   * The meaning of positions outside 0..n-1. Default: negative positions count from the end, and positions out of
   * bounds are clamped to the first or last one. 'clip': all are clamped, negative ones to 0. 'wrap': positions are
   * taken modulo n. 'fill': negative ones count from the end, and positions out of bounds give `fillValue`, as is JAX's
   * default.
   */
  mode?: 'clip' | 'wrap' | 'fill'
  /** The value of mode 'fill'. Default, as in JAX: NaN, the least signed or the greatest unsigned integer, or true. */
  fillValue?: number | bigint | boolean
}

/**
 * Slices of x at positions along an axis (default: the first; null: of the flattened array): x[..., positions, ...]. In
 * the result the axes of `positions` replace the axis. Negative positions count from the end; positions out of bounds
 * are clamped (JAX's default is mode 'fill'). Throws a ShapeError for positions of a non-integer dtype, and when the
 * axis is empty but the positions are not.
 */
export function take(x: TensorLike, positions: TensorLike, axis: number | null = 0, options: TakeOptions = {}): Tensor {
  const { mode, fillValue } = readOptions('np.take', options, ['mode', 'fillValue'])
  const operand = axis === null ? ravel(x) : asTensor(x)
  const at = normalizeAxis(axis ?? 0, operand.ndim)
  const given = asIndices(positions, 'the positions of take')
  const n = operand.shape[at]
  check(
    mode === undefined || mode === 'clip' || mode === 'wrap' || mode === 'fill',
    () => `the mode of take is 'clip', 'wrap' or 'fill', not ${mode}`,
  )
  check(n > 0 || given.size === 0, () => `take: axis ${at} of ${operand} is empty, there is nothing to take`)
  const index = mode === 'clip' ? given.value : mode === 'wrap' ? remainder(given, n).value : fromTheEnd(given.value, n)
  const gathered = ops.gather(operand.value, column(index), { axes: [at], batchDims: 0, mode: 'clip' })
  // The gathered axes come first: put them where the axis was.
  const m = index.ndim
  const rows = ops.transpose(gathered, [
    ...ops.range(at, m),
    ...ops.range(m),
    ...ops.range(operand.ndim - 1 - at, m + at),
  ])
  if (mode !== 'fill') return new Tensor(rows)
  const isOutside = ops.broadcastInDim(ops.or(ops.lt(index, 0), ops.ge(index, n)), rows.shape, ops.range(m, at))
  const filler = lift(fillValue ?? fillerOf(operand.dtype), operand.dtype)
  return new Tensor(ops.select(isOutside, ops.broadcastInDim(filler, rows.shape, []), rows))
}

/** What JAX reads beyond the ends of an axis. */
function fillerOf(dtype: DType): number | bigint | boolean {
  if (isFloat(dtype)) return NaN
  return dtype === 'bool' || extremeOf(dtype, dtype.startsWith('u') ? 'greatest' : 'least')
}

/** Checks that positions have x's shape but for one axis, and moves that axis last. */
function along(name: string, x: Tensor, positions: TensorLike, axis: number): { at: number; index: Value } {
  const at = normalizeAxis(axis, x.ndim)
  const given = asIndices(positions, `the positions of ${name}`)
  const others = (a: Tensor): number[] => a.shape.filter((_, i) => i !== at)
  check(
    given.ndim === x.ndim && sameShape(others(x), others(given)),
    () => `${name}: ${x} and positions ${given} may differ in axis ${at} only`,
  )
  return { at, index: ops.moveAxis(fromTheEnd(given.value, x.shape[at]), at, x.ndim - 1) }
}

/**
 * Elements of x at positions along an axis (default: the last), for a matrix y[i, j] = x[i, positions[i, j]]. The shape
 * of `positions` is x's but for that axis. Positions out of bounds are clamped to the first or last one.
 */
export function takeAlongAxis(x: TensorLike, positions: TensorLike, axis = -1): Tensor {
  const operand = asTensor(x)
  const { at, index } = along('takeAlongAxis', operand, positions, axis)
  const last = operand.ndim - 1
  const rows = ops.gather(ops.moveAxis(operand.value, at, last), column(index), {
    axes: [last],
    batchDims: last,
    mode: 'clip',
  })
  return new Tensor(ops.moveAxis(rows, last, at))
}

/**
 * x with values, broadcast to the shape of `positions`, written to the elements that `takeAlongAxis` reads. Positions
 * out of bounds are ignored; where positions repeat, any one of the values is kept. Returns a new array; NumPy's
 * changes x.
 */
export function putAlongAxis(x: TensorLike, positions: TensorLike, values: TensorLike, axis = -1): Tensor {
  const operand = asTensor(x)
  const { at, index } = along('putAlongAxis', operand, positions, axis)
  const last = operand.ndim - 1
  const spread = stretch(lift(values, operand.dtype), asTensor(positions).shape)
  const written = ops.scatter(ops.moveAxis(operand.value, at, last), column(index), ops.moveAxis(spread, at, last), {
    axes: [last],
    batchDims: last,
    mode: 'drop',
  })
  return new Tensor(ops.moveAxis(written, last, at))
}

/** Functions whose result's length depends on data. */
export interface SizedOptions {
  /** The length of the result. Further elements are dropped. */
  size: number
  /** The value that fills the end of the result if there are fewer than `size` elements (default 0). */
  fillValue?: number
}

/** The flat positions of the true elements in order, then -1 up to `size`. */
function truePositions(x: TensorLike, size: number): Value {
  checkShape([size])
  const isTrue = truth(x)
  const flat = ops.reshape(isTrue, [isTrue.size])
  if (flat.size === 0) return ops.full([size], -1, 'int32')
  // The n-th true element is written to position n of the result; false elements get a position out of bounds and are
  // dropped.
  const rank = ops.sub(ops.cumsum(ops.convertElementType(flat, 'int32'), 0), 1)
  const place = ops.select(flat, rank, size)
  const positions = ops.iota('int32', flat.shape, 0)
  return ops.scatter(ops.full([size], -1, 'int32'), column(place), positions, { axes: [0], batchDims: 0, mode: 'drop' })
}

/** The positions (int32, [size]) of the elements of the flattened array that are other than 0. The end is filled. */
export function flatnonzero(x: TensorLike, options: SizedOptions): Tensor {
  const { size, fillValue = 0 } = readOptions('np.flatnonzero', options, ['size', 'fillValue'], 'size')
  const found = truePositions(x, size)
  return new Tensor(ops.select(ops.lt(found, 0), fillValue, found))
}

/**
 * The positions of the elements other than 0, in row-major order: an int32 array [size] for each axis, as `get` takes
 * them.
 */
export function nonzero(x: TensorLike, options: SizedOptions): Tensor[] {
  const { size, fillValue = 0 } = readOptions('np.nonzero', options, ['size', 'fillValue'], 'size')
  const operand = asTensor(x)
  const found = truePositions(operand, size)
  const isMissing = ops.lt(found, 0)
  const places = unravelIndex(
    new Tensor(ops.select(isMissing, 0, found)),
    operand.shape.map(d => Math.max(1, d)),
  )
  return places.map(place => new Tensor(ops.select(isMissing, fillValue, place.value)))
}

/** The positions of the elements other than 0, one row each: int32 [size, axes]. */
export const argwhere = (x: TensorLike, options: SizedOptions): Tensor => {
  const sized = readOptions('np.argwhere', options, ['size', 'fillValue'], 'size')
  const places = nonzero(x, sized)
  if (places.length === 0) return new Tensor(ops.full([sized.size, 0], 0, 'int32'))
  return new Tensor(
    ops.concatenate(
      places.map(p => column(p.value)),
      1,
    ),
  )
}

/**
 * The rows of x along an axis (the flattened array's elements when none is given) where a vector is true: `size` of
 * them, the end filled.
 */
export function compress(condition: TensorLike, x: TensorLike, options: SizedOptions & { axis?: number }): Tensor {
  const { size, fillValue = 0, axis } = readOptions('np.compress', options, ['size', 'fillValue', 'axis'], 'size')
  const operand = axis === undefined ? ravel(x) : asTensor(x)
  const at = normalizeAxis(axis ?? 0, operand.ndim)
  const mask = asTensor(condition)
  check(mask.ndim === 1, () => `compress takes a vector of conditions, not ${mask}`)
  check(mask.size <= operand.shape[at], () => `compress: ${mask} is longer than axis ${at} of ${operand}`)
  const found = truePositions(mask, size)
  const rows = take(operand, new Tensor(ops.max(found, 0)), at).value
  const isMissing = ops.broadcastInDim(ops.lt(found, 0), rows.shape, [at])
  const filler = ops.broadcastInDim(lift(fillValue, rows.dtype), rows.shape, [])
  return new Tensor(ops.select(isMissing, filler, rows))
}

/**
 * The elements of x where a condition of x's shape is true, in row-major order: `size` of them, the end filled. A
 * boolean mask.
 */
export const extract = (condition: TensorLike, x: TensorLike, options: SizedOptions): Tensor =>
  compress(ravel(condition), x, readOptions('np.extract', options, ['size', 'fillValue'], 'size'))

/** Flat positions in an array of a shape as positions along each axis (int32): the inverse of `ravelMultiIndex`. */
export function unravelIndex(positions: TensorLike, shape: Shape): Tensor[] {
  const lengths = checkShape(shape)
  const flat = new Tensor(fromTheEnd(asIndices(positions, 'the positions of unravelIndex').value, sizeOf(lengths)))
  return stridesOf(lengths).map((stride, i) => remainder(floorDivide(flat, stride), lengths[i]))
}

/**
 * Positions along each axis of an array of a shape as flat positions (int32). Positions beyond the ends are moved to
 * the edge.
 */
export function ravelMultiIndex(positions: readonly TensorLike[], shape: Shape): Tensor {
  const lengths = checkShape(shape)
  check(
    positions.length === lengths.length && lengths.length > 0,
    () => `ravelMultiIndex: ${positions.length} positions for a shape of ${lengths.length} axes`,
  )
  const strides = stridesOf(lengths)
  const terms = positions.map((p, i) => {
    const index = fromTheEnd(asIndices(p, 'the positions of ravelMultiIndex').value, lengths[i])
    return ops.mul(ops.min(ops.max(index, 0), lengths[i] - 1), strides[i])
  })
  return new Tensor(broadcast(...terms).reduce((a, b) => ops.add(a, b)))
}

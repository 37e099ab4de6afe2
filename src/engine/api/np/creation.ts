/**
 * New arrays.
 *
 * - from values: array, asarray
 * - of one value: full, zeros, ones, empty, fullLike, zerosLike, onesLike, emptyLike
 * - ranges: arange, linspace, logspace, geomspace
 * - grids: meshgrid, indices, oneHot
 *
 * Matrices (eye, diag, tri ...) are in `matrices.ts`. The dtype is float32 unless given or said otherwise.
 */
import { checkDType, isFloat, isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { defaultEngine } from '../engine.js'
import { checkShape, integerOf, normalizeAxis } from '../values.js'
import type { Shape } from '../values.js'
import { asIndices, asTensor, broadcast, commonDtype, lift } from './operands.js'

/** Nested lists of numbers, bigints, booleans or arrays: what `array` takes. */
export type { TensorLike as Nested }

/**
 * An array from nested lists: `array([[1, 2], [3, 4]])`. Arrays in a list are stacked: `array([x, y])`.
 *
 * Default dtype: float32 for numbers (in NumPy and JAX whole numbers give integers), bool for booleans, int64 for
 * bigints, the common dtype for arrays. With a given integer dtype, fractions are rounded towards 0. Throws a
 * SwitchyardError for ragged lists, for entries that are not numbers (null, strings, objects) and for whole numbers
 * outside the dtype's range.
 */
export function array(nested: TensorLike, dtype: DType = commonDtype(nested)): Tensor {
  checkDType(dtype)
  defaultEngine()
  return new Tensor(lift(nested, dtype))
}

/** As `array`, but an array that already has the dtype is returned itself. */
export const asarray = (x: TensorLike, dtype?: DType): Tensor =>
  x instanceof Tensor && (dtype === undefined || dtype === x.dtype) ? x : array(x, dtype)

/**
 * An array filled with one value, which is broadcast. Default dtype: float32 for a number, bool for a boolean, int64
 * for a bigint, the array's own for an array.
 */
export function full(shape: Shape, value: TensorLike, dtype: DType = commonDtype(value)): Tensor {
  const lengths = checkShape(shape)
  defaultEngine()
  const filled = lift(value, dtype)
  return new Tensor(ops.broadcastInDim(filled, lengths, ops.range(filled.ndim, lengths.length - filled.ndim)))
}

/** An array of zeros. */
export const zeros = (shape: Shape, dtype: DType = 'float32'): Tensor => full(shape, 0, dtype)

/** An array of ones. */
export const ones = (shape: Shape, dtype: DType = 'float32'): Tensor => full(shape, 1, dtype)

/** An array of zeros, as in JAX: uninitialized memory is never exposed. */
export const empty = zeros

/** An array of one value, of x's shape, and of x's dtype unless given. */
export function fullLike(x: TensorLike, value: TensorLike, dtype?: DType): Tensor {
  const model = asTensor(x)
  return full(model.shape, value, dtype ?? model.dtype)
}

/** Zeros of x's shape, and of x's dtype unless given. */
export const zerosLike = (x: TensorLike, dtype?: DType): Tensor => fullLike(x, 0, dtype)

/** Ones of x's shape, and of x's dtype unless given. */
export const onesLike = (x: TensorLike, dtype?: DType): Tensor => fullLike(x, 1, dtype)

/** Zeros of x's shape, and of x's dtype unless given. */
export const emptyLike = zerosLike

/**
 * The numbers start, start + step, ... before stop; start is 0 and step 1 unless given: `arange(5)`, `arange(1, 5)`,
 * `arange(0, 1, 0.25)`, `arange(5, 'float32')`.
 *
 * Default dtype: int32 if start, stop and step are whole, else float32. With an integer dtype, start and step are
 * rounded towards 0, but the length is computed from the given numbers, as in JAX.
 */
export function arange(stop: number, dtype?: DType): Tensor
export function arange(start: number, stop: number, step?: number, dtype?: DType): Tensor
export function arange(first: number, second?: number | DType, step = 1, last?: DType): Tensor {
  const [start, stop, given] = typeof second === 'number' ? [first, second, last] : [0, first, second]
  check([start, stop, step].every(Number.isFinite) && step !== 0, () => `arange(${start}, ${stop}, ${step}) has no end`)
  const dtype = given ?? ([start, stop, step].every(Number.isInteger) ? 'int32' : 'float32')
  checkDType(dtype)
  defaultEngine()
  // 16-bit floats hold few whole numbers exactly: their ranges are computed in float32.
  const computed = isFloat(dtype) ? 'float32' : dtype
  const [from, by] = isInteger(dtype) ? [integerOf(start, dtype), integerOf(step, dtype)] : [start, step]
  const steps = ops.iota(computed, [Math.max(0, Math.ceil((stop - start) / step))], 0)
  const scaled = by === 1 || by === 1n ? steps : ops.mul(steps, ops.full(steps.shape, by, computed))
  const moved = from === 0 || from === 0n ? scaled : ops.add(scaled, ops.full(steps.shape, from, computed))
  return new Tensor(ops.convertElementType(moved, dtype))
}

/** Options of `linspace`, `logspace` and `geomspace`. */
export interface SpaceOptions {
  /** Whether stop is the last number: true unless given. */
  endpoint?: boolean
  /** float32 unless given. For integers the numbers are rounded down. */
  dtype?: DType
}

/** `n` numbers t in [0, 1] mapped by `f`, along a new first axis, of broadcast start and stop. */
function spaced(
  name: string,
  start: TensorLike,
  stop: TensorLike,
  n: number,
  options: SpaceOptions,
  f: (start: Value, stop: Value, t: Value) => Value,
): Tensor {
  const { endpoint = true, dtype = 'float32' } = readOptions(`np.${name}`, options, ['endpoint', 'dtype'])
  check(Number.isInteger(n) && n >= 0, () => `${name} needs a whole number of points, not ${n}`)
  checkDType(dtype)
  defaultEngine()
  const [a, b] = broadcast(lift(start, 'float32'), lift(stop, 'float32'))
  const shape = [n, ...a.shape]
  const t = ops.div(ops.iota('float32', shape, 0), Math.max(1, endpoint ? n - 1 : n))
  const [from, to] = [a, b].map(v => ops.broadcastInDim(v, shape, ops.range(v.ndim, 1)))
  const points = f(from, to, t)
  return new Tensor(ops.convertElementType(isInteger(dtype) ? ops.floor(points) : points, dtype))
}

/** start (1 - t) + stop t: this formula is exact at both ends, t = 0 and t = 1. */
const between = (start: Value, stop: Value, t: Value): Value => ops.add(ops.mul(ops.sub(1, t), start), ops.mul(t, stop))

/**
 * `n` evenly spaced numbers from start to stop, which is the last one unless `endpoint` is false: start (1 - t) + stop
 * t. start and stop may be arrays; the numbers are along a new first axis. For an integer dtype they are rounded down.
 */
export const linspace = (start: TensorLike, stop: TensorLike, n = 50, options: SpaceOptions = {}): Tensor =>
  spaced('linspace', start, stop, n, options, between)

/** `n` numbers from base^start to base^stop whose logarithms are evenly spaced. See `linspace`. */
export const logspace = (
  start: TensorLike,
  stop: TensorLike,
  n = 50,
  options: SpaceOptions & { base?: number } = {},
): Tensor => {
  const { base = 10, ...rest } = readOptions('np.logspace', options, ['endpoint', 'dtype', 'base'])
  return spaced('logspace', start, stop, n, rest, (a, b, t) => {
    const exponent = between(a, b, t)
    return ops.pow(ops.full(exponent.shape, base, 'float32'), exponent)
  })
}

/**
 * `n` numbers of a geometric sequence from start to stop, which must both be positive or both negative. See `linspace`.
 */
export const geomspace = (start: TensorLike, stop: TensorLike, n = 50, options: SpaceOptions = {}): Tensor =>
  spaced('geomspace', start, stop, n, options, (a, b, t) => {
    const inner = ops.mul(a, ops.pow(ops.div(b, a), t))
    return ops.select(ops.eq(t, 0), a, ops.select(ops.eq(t, 1), b, inner))
  })

/**
 * The coordinates of the points of a grid: for each of the n vectors an array with n axes, which repeats the vector
 * along all axes but its own. With `indexing` 'xy' (default) the first vector's axis is the second one, with 'ij' the
 * first one.
 */
export function meshgrid(vectors: readonly TensorLike[], options: { indexing?: 'xy' | 'ij' } = {}): Tensor[] {
  const { indexing = 'xy' } = readOptions('np.meshgrid', options, ['indexing'])
  check(indexing === 'xy' || indexing === 'ij', () => `the indexing of meshgrid is 'xy' or 'ij', not ${indexing}`)
  const operands = vectors.map(asTensor)
  check(
    operands.every(v => v.ndim <= 1),
    () => `meshgrid takes vectors, not ${operands.join(', ')}`,
  )
  const axisOf = (i: number): number => (indexing === 'xy' && i < 2 && operands.length > 1 ? 1 - i : i)
  const shape = ops.range(operands.length).map(axis => operands[axisOf(axis)].size)
  return operands.map((v, i) => new Tensor(ops.broadcastInDim(ops.reshape(v.value, [v.size]), shape, [axisOf(i)])))
}

/**
 * The indices of all elements of a shape: result[a, ...] holds each element's index along axis a. [axes, ...shape],
 * int32.
 */
export function indices(shape: Shape, dtype: DType = 'int32'): Tensor {
  const lengths = checkShape(shape)
  checkDType(dtype)
  defaultEngine()
  if (lengths.length === 0) return zeros([0], dtype)
  const grids = lengths.map((_, axis) => ops.reshape(ops.iota(dtype, lengths, axis), [1, ...lengths]))
  return new Tensor(ops.concatenate(grids, 0))
}

/**
 * One-hot vectors of length n along a new axis (the last unless given): 1 at the position, 0 elsewhere; all 0 for
 * positions outside 0..n-1. JAX's `jax.nn.one_hot`.
 */
export function oneHot(positions: TensorLike, n: number, options: { axis?: number; dtype?: DType } = {}): Tensor {
  const { axis = -1, dtype = 'float32' } = readOptions('np.oneHot', options, ['axis', 'dtype'])
  checkShape([n])
  const { value, ndim } = asIndices(positions, 'the positions of oneHot')
  const at = normalizeAxis(axis, ndim + 1)
  const shape = value.shape.toSpliced(at, 0, n)
  const spread = ops.broadcastInDim(
    value,
    shape,
    ops.range(shape.length).filter(i => i !== at),
  )
  return new Tensor(ops.convertElementType(ops.eq(spread, ops.iota(value.dtype, shape, at)), dtype))
}

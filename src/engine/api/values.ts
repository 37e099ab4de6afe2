/** Helpers of the array functions: constants, broadcasting, axes and shapes of values. */
import { checkDType, extremeOf, isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { describe } from './describe.js'

/**
 * A number as an element of an integer dtype, converted as XLA converts: a fraction is rounded towards 0, NaN becomes
 * 0, an infinity becomes the least or greatest integer. Throws a ShapeError for a whole number outside the dtype's
 * range.
 */
export function integerOf(value: number | bigint | boolean, dtype: DType): number | bigint {
  const [least, greatest] = [extremeOf(dtype, 'least'), extremeOf(dtype, 'greatest')]
  if (typeof value === 'boolean' || Number.isNaN(value)) return Number(value) || 0
  const isWhole = typeof value === 'bigint' || Number.isInteger(value)
  check(
    !isWhole || (value >= least && value <= greatest),
    () => `${value} does not fit ${dtype} (${least} to ${greatest}): convert the array first (np.astype)`,
  )
  const end =
    value < least ? least : value > greatest ? greatest : typeof value === 'number' ? Math.trunc(value) : value
  return dtype === 'int64' ? end : Number(end)
}

/** A number as a constant of a dtype. bool: true if it is not 0. Integers: see `integerOf`. */
export function constant(value: number | bigint | boolean, dtype: DType): Value {
  checkDType(dtype)
  if (dtype === 'bool') return literal(Boolean(value) || Number.isNaN(value), dtype)
  return literal(isFloat(dtype) ? Number(value) : integerOf(value, dtype), dtype)
}

const rank: readonly DType[] = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float16',
  'bfloat16',
  'float32',
]

/**
 * The dtype that two arrays are converted to before they are combined: the wider one. float16 with bfloat16 gives
 * float32 and uint32 with a signed integer int64, as in JAX; other mixtures of signed and unsigned integers int32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  const [low, high] = rank.indexOf(a) < rank.indexOf(b) ? [a, b] : [b, a]
  if (low === 'float16' && high === 'bfloat16') return 'float32'
  if (high === 'uint32' && (low === 'int32' || low === 'int8')) return 'int64'
  if (low === 'uint8' && high === 'int8') return 'int32'
  if (low === 'int8' && high === 'uint16') return 'int32'
  return high
}

/** NumPy's broadcast shape of several shapes; throws a ShapeError when there is none. */
export function broadcastShapes(...shapes: (readonly number[])[]): number[] {
  const ndim = Math.max(0, ...shapes.map(s => s.length))
  return ops.range(ndim).map(i => {
    const sizes = shapes.map(s => s[i - ndim + s.length] ?? 1)
    const size = sizes.find(d => d !== 1) ?? 1
    check(
      sizes.every(d => d === 1 || d === size),
      () => `the shapes ${shapes.map(s => `[${s}]`).join(' and ')} do not broadcast together`,
    )
    return size
  })
}

/** Stretches a value to a shape, as NumPy does: new axes in front, axes of length 1 repeated. */
export function stretch(x: Value, shape: readonly number[]): Value {
  check(sameShape(broadcastShapes(x.shape, shape), shape), () => `[${x.shape}] does not broadcast to [${shape}]`)
  return ops.broadcastInDim(x, shape, ops.range(x.ndim, shape.length - x.ndim))
}

/** One axis or several. Negative axes count from the last: -1 is the last axis. */
export type Axes = number | readonly number[]

export function normalizeAxis(axis: number, ndim: number): number {
  check(
    Number.isInteger(axis) && axis >= -ndim && axis < ndim,
    () => `axis ${typeof axis === 'number' ? axis : describe(axis)} is out of bounds for ${ndim} dimensions`,
  )
  return axis < 0 ? axis + ndim : axis
}

/**
 * The axes as numbers from 0 on; all axes if undefined. Throws a ShapeError for an axis out of bounds or given twice.
 */
export function normalizeAxes(axes: Axes | undefined, ndim: number): number[] {
  if (axes === undefined) return ops.range(ndim)
  check(
    typeof axes === 'number' || Array.isArray(axes),
    () => `an axis is a number, several are a list of numbers: not ${describe(axes)}`,
  )
  const normal = (typeof axes === 'number' ? [axes] : axes).map(a => normalizeAxis(a, ndim))
  check(new Set(normal).size === normal.length, () => `the axes [${axes}] repeat`)
  return normal
}

/** A length for each axis. A bare number n is the shape [n]. */
export type Shape = number | readonly number[]

/** The lengths of a shape. Throws a ShapeError unless they are whole numbers of 0 or more. */
export function checkShape(shape: Shape): readonly number[] {
  const lengths = typeof shape === 'number' ? [shape] : shape
  check(
    lengths.every(d => Number.isInteger(d) && d >= 0),
    () => `a shape holds whole numbers of 0 or more, not [${lengths}]`,
  )
  return lengths
}

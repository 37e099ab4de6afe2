/** What the array functions share, on values: constants, broadcasting, axes. */
import { checkDType, extremeOf, isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { literal } from '../program/value.js'
import type { Value } from '../program/value.js'
import { describe } from './describe.js'

/**
 * A number as an element of an integer dtype. A fraction loses what is behind the point, NaN is 0 and an infinity the
 * nearest end of the range, as in XLA's conversions. Throws a ShapeError for a whole number outside the range.
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

/** A number as a constant of a dtype. bool: whether it is other than 0. Integers: see `integerOf`. */
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

/** One axis or several; negative ones count from the last. */
export type Axes = number | readonly number[]

export function normalizeAxis(axis: number, ndim: number): number {
  check(
    Number.isInteger(axis) && axis >= -ndim && axis < ndim,
    () => `axis ${typeof axis === 'number' ? axis : describe(axis)} is out of bounds for ${ndim} dimensions`,
  )
  return axis < 0 ? axis + ndim : axis
}

/** All axes when none are given. */
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

/** A length for each axis; a bare number is the length of the only one. */
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

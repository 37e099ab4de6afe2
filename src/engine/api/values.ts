/** What the array functions share, on values: constants, broadcasting, axes. */
import { checkDType, isFloat } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { literal } from '../program/value.js'
import type { Value } from '../program/value.js'

/** A JS number as a constant of a dtype: cut off after the point for integers, 0 or 1 for bool. */
export function constant(value: number | bigint | boolean, dtype: DType): Value {
  checkDType(dtype)
  if (typeof value === 'boolean') return literal(value, dtype)
  if (dtype === 'bool') return literal(Boolean(value), dtype)
  if (typeof value === 'bigint') return literal(dtype === 'int64' ? value : Number(value), dtype)
  return literal(isFloat(dtype) ? value : Math.trunc(value), dtype)
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
    () => `axis ${axis} is out of bounds for ${ndim} dimensions`,
  )
  return axis < 0 ? axis + ndim : axis
}

/** All axes when none are given. */
export function normalizeAxes(axes: Axes | undefined, ndim: number): number[] {
  if (axes === undefined) return ops.range(ndim)
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

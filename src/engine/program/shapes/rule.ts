import { isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import type { Aval } from '../aval.js'
import type { PrimitiveName } from '../primitives.js'
import type { PrimitiveParams } from '../program.js'

/** Computes the types of a primitive's outputs. Throws a ShapeError when the operands or the parameters do not fit. */
export type ShapeRule<P extends PrimitiveName> = (inputs: readonly Aval[], params: PrimitiveParams[P]) => Aval[]

/** A part of the table of shape rules. */
export type ShapeRules = { readonly [P in PrimitiveName]?: ShapeRule<P> }

/** Which dtypes a primitive accepts. */
export type DTypePredicate = (dtype: DType) => boolean

export const isAny: DTypePredicate = () => true
export const isNumeric: DTypePredicate = dtype => dtype !== 'bool'
export const isBoolOrInteger: DTypePredicate = dtype => dtype === 'bool' || isInteger(dtype)

/** Throws a ShapeError unless `axes` are different axes of an array with `ndim` axes. */
export const checkAxes = (axes: readonly number[], ndim: number): void => {
  check(
    axes.every(a => Number.isInteger(a) && a >= 0 && a < ndim),
    () => `axes [${axes}] are not all in 0..${ndim - 1}`,
  )
  check(new Set(axes).size === axes.length, () => `axes [${axes}] repeat`)
}

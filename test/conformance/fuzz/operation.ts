import { isFloat, isInteger } from '../../../src/base/dtypes.js'
import { Tensor } from '../../../src/engine/api/tensor.js'
import type { Value } from '../../../src/engine/program/value.js'

/** One random choice: an equation, its operand, and numbers that choose its parameters. */
export interface Step {
  op: number
  operand: number
  a: number
  b: number
  /** The steps of a loop's body, a branch, or a composite's function, where the operation has one. */
  inner: readonly Step[]
}

/** The arguments of an operation besides its operand. */
export interface Context extends Step {
  /** Another value of x's type made so far, or x itself. */
  other: (x: Value) => Value
  /** Whether values are small multiples of 1/2: then sums and products are exact in any order. */
  small: boolean
  /** Applies the inner steps to values. Returns the last result of the first value's type, or that value. */
  inside: (values: readonly Value[]) => Value
  /** The same in a branch or a loop that not all devices take, or not as often: nothing in it is about devices. */
  insideBranch: (values: readonly Value[]) => Value
}

/** Adds equations on `x`, whose results it returns. It is undefined where the operation does not apply. */
export type Operation = (x: Value, context: Context) => Value | readonly Value[] | undefined

export const axisOf = (x: Value, n: number): number => n % x.ndim
export const given =
  (applies: (x: Value, context: Context) => boolean, f: (x: Value, context: Context) => Value): Operation =>
  (x, context) =>
    applies(x, context) ? f(x, context) : undefined
export const whenNumber = (f: (x: Value, context: Context) => Value): Operation => given(x => x.dtype !== 'bool', f)
export const whenFloat = (f: (x: Value, context: Context) => Value): Operation => given(x => isFloat(x.dtype), f)
export const whenInteger = (f: (x: Value, context: Context) => Value): Operation => given(x => isInteger(x.dtype), f)
export const whenLogical = (f: (x: Value, context: Context) => Value): Operation => given(x => !isFloat(x.dtype), f)
export const alongAxis = (f: (x: Value, axis: number, context: Context) => Value): Operation =>
  given(
    x => x.ndim > 0,
    (x, c) => f(x, axisOf(x, c.a), c),
  )
export const alongFullAxis = (f: (x: Value, axis: number, context: Context) => Value): Operation =>
  given(
    x => x.ndim > 0 && !x.shape.includes(0),
    (x, c) => f(x, axisOf(x, c.a), c),
  )
/** A function of tensors as a function of values. */
export const lifted =
  (f: (x: Tensor, other: Tensor, context: Context) => Tensor): ((x: Value, context: Context) => Value) =>
  (x, context) =>
    f(new Tensor(x), new Tensor(context.other(x)), context).value

/**
 * The types of the methods of arrays. Each method is a function of np with the array as its first operand: `x.add(y)`
 * is `np.add(x, y)`. `methods.ts` installs the functions. `T` is Tensor, a type parameter because tensor.ts imports
 * this file.
 */
import type { DType } from '../../base/dtypes.js'
import type { Nested } from './nested.js'
import type { Axes, Shape } from './values.js'

interface Reduced {
  /** All axes unless given. */
  axis?: Axes
  /** Keeps the reduced axes, with length 1. */
  keepdims?: boolean
}

type Deviation = Reduced & {
  /** The divisor is the number of elements minus this (default 0; 1 gives the unbiased estimate). NumPy's ddof. */
  correction?: number
}

type Like<T> = Nested<T>

export interface TensorMethods<T> {
  /** The transpose: x with the order of its axes reversed. */
  readonly T: T

  // Arithmetic: operands broadcast and are converted to their common dtype
  /** x + y. */
  add(y: Like<T>): T
  /** x - y. */
  sub(y: Like<T>): T
  /** x - y. */
  subtract(y: Like<T>): T
  /** x * y. */
  mul(y: Like<T>): T
  /** x * y. */
  multiply(y: Like<T>): T
  /** x / y; integers become float32. */
  div(y: Like<T>): T
  /** x / y; integers become float32. */
  divide(y: Like<T>): T
  /** x / y rounded down, Python's `//`. */
  floorDivide(y: Like<T>): T
  /** The remainder with the sign of y, Python's `%`. */
  mod(y: Like<T>): T
  /** x to the power y. */
  pow(y: Like<T>): T
  /** x to the power y. */
  power(y: Like<T>): T
  /** -x. */
  neg(): T
  /** -x. */
  negative(): T
  /** |x|. */
  abs(): T
  /** The matrix product, Python's `@`. */
  matmul(y: Like<T>): T
  /** NumPy's `dot`. */
  dot(y: Like<T>): T
  /** x kept within [low, high]; null leaves a side open. */
  clip(low: Like<T> | null, high: Like<T> | null): T
  /** Rounded to a number of decimals (0 unless given), halves to even. */
  round(decimals?: number): T

  // Comparison and logic: the result is bool
  /** x = y. */
  equal(y: Like<T>): T
  /** x != y. */
  notEqual(y: Like<T>): T
  /** x < y. */
  less(y: Like<T>): T
  /** x <= y. */
  lessEqual(y: Like<T>): T
  /** x > y. */
  greater(y: Like<T>): T
  /** x >= y. */
  greaterEqual(y: Like<T>): T
  /** Whether x and y are both nonzero. */
  logicalAnd(y: Like<T>): T
  /** Whether x or y is nonzero. */
  logicalOr(y: Like<T>): T
  /** Whether x is 0. */
  logicalNot(): T

  // Reductions
  /** The sum. */
  sum(options?: Reduced | Axes): T
  /** The product. */
  prod(options?: Reduced | Axes): T
  /** The mean. */
  mean(options?: Reduced | Axes): T
  /** The variance. */
  var(options?: Deviation | Axes): T
  /** The standard deviation. */
  std(options?: Deviation | Axes): T
  /** The greatest element. */
  max(options?: Reduced | Axes): T
  /** The least element. */
  min(options?: Reduced | Axes): T
  /** Whether all elements are other than 0. */
  all(options?: Reduced | Axes): T
  /** Whether any element is other than 0. */
  any(options?: Reduced | Axes): T
  /** The position of the greatest element: see np.argmax. */
  argmax(axis?: number | { axis?: number }): T
  /** The position of the least element: see np.argmin. */
  argmin(axis?: number | { axis?: number }): T
  /** Running sums along an axis (the last unless given). */
  cumsum(axis?: number | { axis?: number }): T
  /** Running products along an axis (the last unless given). */
  cumprod(axis?: number | { axis?: number }): T

  // Shape and order
  /** The same elements in another shape: `x.reshape([2, 3])` or `x.reshape(2, 3)`; one length may be -1. */
  reshape(shape: Shape): T
  reshape(...lengths: number[]): T
  /** All elements along one axis. */
  ravel(): T
  /** All elements along one axis. */
  flatten(): T
  /**
   * x with its axes permuted: `x.transpose([1, 0])` or `x.transpose(1, 0)`; in reverse order if no permutation is
   * given.
   */
  transpose(perm: readonly number[]): T
  transpose(...perm: number[]): T
  /** x with two axes exchanged. */
  swapaxes(a: number, b: number): T
  /** x without the given axes of length 1 (default: all axes of length 1). */
  squeeze(axis?: Axes): T
  /** Each element repeated `times` times in a row, along an axis (default: in the flattened array). */
  repeat(times: number, axis?: number): T
  /** The elements in ascending order along an axis (default: the last). */
  sort(axis?: number): T
  /** The positions (int32) that sort the elements along an axis (default: the last). */
  argsort(axis?: number): T
  /** Rows along an axis (the first unless given) by position. Options: see `np.take`. */
  take(
    positions: Like<T>,
    axis?: number | null,
    options?: { mode?: 'clip' | 'wrap' | 'fill'; fillValue?: number | bigint | boolean },
  ): T
  /** The diagonal of the first two axes, `k` above the main one. */
  diagonal(options?: { k?: number }): T
  /** The sum of the diagonal. */
  trace(options?: { k?: number }): T

  // Conversion
  /** x converted to a dtype: see np.astype. */
  astype(dtype: DType): T
}

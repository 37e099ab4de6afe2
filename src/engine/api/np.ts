/**
 * NumPy's functions on arrays, modelled on jax.numpy. docs/numpy.md lists NumPy's names with the names here.
 *
 * Every array argument may also be a bare number or nested lists. A bare number takes the dtype of the other operand; a
 * fraction with an integer operand gives float32; a number alone is float32. Operands broadcast and are converted to
 * their common dtype (see `promote`). No function changes an existing array. A shape or dtype that does not fit throws
 * a ShapeError before anything is computed. Each file of np/ begins with a list of its functions.
 */
import './methods.js'

export { fromHost } from './tensor.js'
export { promote } from './values.js'
export type { Axes, Shape } from './values.js'
export * from './np/creation.js'
export * from './np/matrices.js'
export * from './np/arithmetic.js'
export * from './np/rounding.js'
export * from './np/exponential.js'
export * from './np/trigonometric.js'
export * from './np/comparison.js'
export * from './np/logic.js'
export { all, amax, amin, any, argmax, argmin, average, countNonzero } from './np/reductions.js'
export { logsumexp, max, mean, min, prod, ptp, std, sum, variance as var } from './np/reductions.js'
export type { ReduceOptions, VarianceOptions } from './np/reductions.js'
export * from './np/cumulative.js'
export * from './np/linear-algebra.js'
export * from './np/shape.js'
export * from './np/joining.js'
export * from './np/padding.js'
export * from './np/indexing.js'
export * from './np/sorting.js'
export * from './np/nan-reductions.js'
export * from './np/statistics.js'
export * from './np/sets.js'
export * from './np/polynomials.js'

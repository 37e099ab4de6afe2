/** NumPy's functions on arrays, with its broadcasting. A bare number takes the dtype of the array beside it. */
export { fromHost } from './array.js'
export { array, arange, eye, full, fullLike, linspace, oneHot, ones, onesLike, tril, triu, zeros, zerosLike } from './np/creation.js'
export type { Nested } from './np/creation.js'
export { promote } from './np/operands.js'
export {
  abs, add, astype, atan2, bitwiseAnd, bitwiseNot, bitwiseOr, bitwiseXor, ceil, clip, cos, divide, equal, erf, erfInv, exp, exp2, expm1,
  floor, floorDivide, greater, greaterEqual, isFinite, isInf, isNan, leftShift, less, lessEqual, log, log10, log1p, log2, logaddexp,
  logicalAnd, logicalNot, logicalOr, logicalXor, maximum, minimum, multiply, negative, notEqual, power, reciprocal, remainder,
  rightShift, round, rsqrt, sigmoid, sign, sin, sqrt, square, subtract, tan, tanh, trunc, where,
} from './np/elementwise.js'
export { all, any, argmax, argmin, cumsum, logsumexp, max, mean, min, prod, std, sum, variance as var } from './np/reductions.js'
export type { ReduceOptions, VarianceOptions } from './np/reductions.js'
export { dot, einsum, matmul, outer, tensordot } from './np/linear-algebra.js'
export {
  broadcastShapes, broadcastTo, concatenate, expandDims, flip, moveaxis, pad, ravel, repeat, reshape, roll, split, squeeze, stack,
  swapaxes, tile, transpose,
} from './np/shape.js'
export { slice, take, takeAlongAxis } from './np/indexing.js'
export { argsort, sort, topK } from './np/sorting.js'
export type { Axes, Shape } from './values.js'

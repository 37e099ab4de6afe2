/**
 * The level below `np`: the primitives as functions of arrays, special functions, loops and branches. No promotion of
 * dtypes.
 */
import './methods.js'

export {
  abs,
  add,
  and,
  atan2,
  bitcastConvertType,
  ceil,
  clamp,
  convertElementType,
  cos,
  div,
  eq,
  erf,
  erfInv,
  exp,
  expm1,
  floor,
  ge,
  gt,
  isFinite,
  le,
  log,
  log1p,
  logistic,
  lt,
  max,
  min,
  mul,
  ne,
  neg,
  not,
  optimizationBarrier,
  or,
  pow,
  reciprocal,
  rem,
  round,
  rsqrt,
  select,
  shiftLeft,
  shiftRightArithmetic,
  shiftRightLogical,
  sign,
  sin,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
  xor,
} from './lax/elementwise.js'
export { digamma, erfc, lgamma } from './lax/special.js'
export {
  broadcastInDim,
  concatenate,
  dynamicSlice,
  dynamicUpdateSlice,
  iota,
  pad,
  reshape,
  rev,
  slice,
  transpose,
} from './lax/shape.js'
export {
  argmax,
  argmin,
  cumlogsumexp,
  cummax,
  cummin,
  cumprod,
  cumsum,
  reduceAnd,
  reduceMax,
  reduceMin,
  reduceOr,
  reduceProd,
  reduceSum,
} from './lax/reductions.js'
export type { CumulativeOptions } from './lax/reductions.js'
export { dotGeneral, gather, scatter, scatterAdd, sort, threefry2x32, topK } from './lax/indexing.js'
export type { SortOptions } from './lax/indexing.js'
export {
  allGather,
  allToAll,
  axisIndex,
  axisSize,
  pmax,
  pmean,
  pmin,
  ppermute,
  psum,
  psumScatter,
  reduceScatter,
} from './lax/collectives.js'
export type { AllGatherOptions, AxisName, ScatterOptions, TiledOptions } from './lax/collectives.js'
export { associativeScan } from './lax/associative-scan.js'
export { cond, foriLoop, map, scan, switchBranch, whileLoop } from './lax/control-flow.js'
export type { ScanOptions } from './lax/control-flow.js'

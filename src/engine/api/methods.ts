/**
 * Installs the methods of `TensorMethods` on Tensor, from one table.
 *
 * np's functions make Tensors, and Tensor's methods call np's functions: one of the two has to be bound late, or the modules
 * would form a cycle. So tensor.ts knows the methods' types only, and this file, which `np` and `lax` import, puts the
 * functions on the prototype. That is the only work done at import anywhere in the library (and named in package.json's
 * `sideEffects`, for bundlers): arrays come from np and lax, and nobody should have to install their methods by a call.
 */
import * as arithmetic from './np/arithmetic.js'
import * as comparison from './np/comparison.js'
import { cumprod, cumsum } from './np/cumulative.js'
import { take } from './np/indexing.js'
import { dot, matmul } from './np/linear-algebra.js'
import { astype, logicalAnd, logicalNot, logicalOr } from './np/logic.js'
import { diagonal, trace } from './np/matrices.js'
import { all, any, argmax, argmin, max, mean, min, prod, std, sum, variance } from './np/reductions.js'
import { round } from './np/rounding.js'
import { ravel, repeat, reshape, squeeze, swapaxes, transpose } from './np/shape.js'
import { argsort, sort } from './np/sorting.js'
import { Tensor } from './tensor.js'
import type { TensorMethods } from './tensor-methods.js'
import type { Shape } from './values.js'

/** The functions of the methods: the array comes first, then the method's arguments. */
type Functions = {
  [K in Exclude<keyof TensorMethods<Tensor>, 'T'>]: (x: Tensor, ...args: Parameters<TensorMethods<Tensor>[K]>) => Tensor
}

/** A list that is given as one argument, or as several. */
const listOf = (args: readonly (number | readonly number[])[]): readonly number[] => args.flat()

const methods: Functions = {
  add: arithmetic.add,
  sub: arithmetic.subtract,
  subtract: arithmetic.subtract,
  mul: arithmetic.multiply,
  multiply: arithmetic.multiply,
  div: arithmetic.divide,
  divide: arithmetic.divide,
  floorDivide: arithmetic.floorDivide,
  mod: arithmetic.remainder,
  pow: arithmetic.power,
  power: arithmetic.power,
  neg: arithmetic.negative,
  negative: arithmetic.negative,
  abs: arithmetic.abs,
  matmul,
  dot,
  clip: arithmetic.clip,
  round,
  equal: comparison.equal,
  notEqual: comparison.notEqual,
  less: comparison.less,
  lessEqual: comparison.lessEqual,
  greater: comparison.greater,
  greaterEqual: comparison.greaterEqual,
  logicalAnd,
  logicalOr,
  logicalNot,
  sum,
  prod,
  mean,
  var: variance,
  std,
  max,
  min,
  all,
  any,
  argmax,
  argmin,
  cumsum,
  cumprod,
  reshape: (x, ...shape: (Shape | number)[]) => reshape(x, listOf(shape)),
  ravel,
  flatten: ravel,
  transpose: (x, ...perm: (number | readonly number[])[]) => transpose(x, perm.length === 0 ? undefined : listOf(perm)),
  swapaxes,
  squeeze,
  repeat,
  sort,
  argsort,
  take,
  diagonal,
  trace,
  astype,
}

for (const [name, f] of Object.entries(methods) as [string, (x: Tensor, ...args: unknown[]) => Tensor][]) {
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Tensor, ...args: unknown[]) {
      return f(this, ...args)
    },
  })
}
Object.defineProperty(Tensor.prototype, 'T', {
  configurable: true,
  get(this: Tensor) {
    return transpose(this)
  },
})

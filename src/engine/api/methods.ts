/**
 * Installs the methods of `TensorMethods` on Tensor, from one table.
 *
 * np's functions create Tensors, and Tensor's methods call np's functions. Modules that import each other would form a
 * cycle, so that tensor.ts declares only the methods' types, and this file puts the functions on Tensor.prototype when
 * it is imported. `np.ts` and `lax.ts` import it, since every array comes from one of them.
 *
 * This is the only work at import in the library. (package.json lists this file under `sideEffects`, which keeps
 * bundlers from dropping it.) The alternatives are worse: a table of functions that tensor.ts looks up at call time
 * would also have to be filled by some import, and a subclass of Tensor with the methods could not be what np's
 * functions return.
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

/** The function behind each method: its first argument is the array, followed by the method's arguments. */
type Functions = {
  [K in Exclude<keyof TensorMethods<Tensor>, 'T'>]: (x: Tensor, ...args: Parameters<TensorMethods<Tensor>[K]>) => Tensor
}

/** One list from arguments that are a list, `([2, 3])`, or its items, `(2, 3)`. */
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

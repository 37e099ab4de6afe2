/** Reductions and running reductions. Axes are numbers from 0 on. */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { prefixScan } from '../prefix-scan.js'
import { normalizeAxis } from '../values.js'
import { operand } from './operands.js'

const reduction =
  (name: string, f: (x: Value, axes: readonly number[]) => Value) =>
  (x: TensorLike, axes: readonly number[]): Tensor => {
    check(Array.isArray(axes), `lax.${name}: the axes must be a list`)
    return new Tensor(f(operand(name, 'x', x), axes))
  }

/** Sums over the axes; integers wrap around. */
export const reduceSum = reduction('reduceSum', ops.reduceSum)
/** Products over the axes; integers wrap around. */
export const reduceProd = reduction('reduceProd', ops.reduceProd)
/** The greatest elements. Equal ones share the gradient evenly. */
export const reduceMax = reduction('reduceMax', ops.reduceMax)
/** The least elements. Equal ones share the gradient evenly. */
export const reduceMin = reduction('reduceMin', ops.reduceMin)
/** Whether all are true: bool. */
export const reduceAnd = reduction('reduceAnd', ops.reduceAnd)
/** Whether any is true: bool. */
export const reduceOr = reduction('reduceOr', ops.reduceOr)
/** The position (int32) of the greatest element along an axis, the first among equals. */
export const argmax = (x: TensorLike, axis: number): Tensor => new Tensor(ops.argmax(operand('argmax', 'x', x), axis))
/** The position (int32) of the least element along an axis, the first among equals. */
export const argmin = (x: TensorLike, axis: number): Tensor => new Tensor(ops.argmin(operand('argmin', 'x', x), axis))

export interface CumulativeOptions {
  /** From the last element to the first. */
  reverse?: boolean
}

const cumulative =
  (name: string, f: (x: Value, axis: number, reverse: boolean) => Value) =>
  (x: TensorLike, axis = 0, options: CumulativeOptions = {}): Tensor => {
    const { reverse = false } = readOptions(`lax.${name}`, options, ['reverse'])
    const v = operand(name, 'x', x)
    return new Tensor(f(v, normalizeAxis(axis, v.ndim), reverse))
  }

/** By a tree of pairs, in about 2 n applications of `combine`. */
const scanned =
  (combine: (x: Value, y: Value) => Value) =>
  (x: Value, axis: number, reverse: boolean): Value =>
    prefixScan(([a], [b]) => [combine(a, b)], [x], axis, reverse)[0]

/** log(exp(x) + exp(y)) without overflow. If the greater one is infinite or NaN it is the result, with no gradient. */
function logAddExp(x: Value, y: Value): Value {
  const top = ops.stopGradient(ops.max(x, y))
  const isFinite = ops.isFinite(top)
  const term = (v: Value): Value => ops.exp(ops.select(isFinite, ops.sub(v, top), 0))
  return ops.select(isFinite, ops.add(ops.log(ops.add(term(x), term(y))), top), top)
}

/** Running sums along an axis. */
export const cumsum = cumulative('cumsum', ops.cumsum)
/** Running products along an axis. */
export const cumprod = cumulative('cumprod', scanned(ops.mul))
/** Running maxima along an axis. */
export const cummax = cumulative('cummax', scanned(ops.max))
/** Running minima along an axis. */
export const cummin = cumulative('cummin', scanned(ops.min))
/** Running log(sum(exp(x))) along an axis, floating point, without overflow. */
export const cumlogsumexp = cumulative('cumlogsumexp', scanned(logAddExp))

/**
 * The gamma distribution, and those that are made of it. float32. No reverse mode in their parameters: they draw in
 * loops.
 */
import { check } from '../../../base/errors.js'
import { sameShape } from '../../program/aval.js'
import { whileLoop } from '../lax/control-flow.js'
import * as np from '../np.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { broadcastShapes, checkShape } from '../values.js'
import type { Shape } from '../values.js'
import { vmap } from '../vmap.js'
import { exponential, normal, uniform } from './continuous.js'
import { split, splitKeys } from './keys.js'

/** A parameter as float32, broadcast to the shape of the draws, which is its own unless given. */
export function parameter(name: string, x: TensorLike, shape: Shape | undefined): Tensor {
  const array = np.astype(x instanceof Tensor ? x : np.array(x as number), 'float32')
  const drawn = checkShape(shape ?? array.shape)
  check(
    sameShape(broadcastShapes(drawn, array.shape), drawn),
    () => `${name}: a parameter ${array} does not broadcast to the shape [${drawn}]`,
  )
  return np.broadcastTo(array, drawn)
}

/**
 * One draw of log(gamma(a)). Marsaglia and Tsang, "A simple method for generating gamma variables" (2000): d v^3 for a
 * normal x with v = 1 + c x, accepted by a test with a uniform number. For a < 1, draws of a + 1 are multiplied by
 * u^(1/a).
 */
function logGammaOne(k: Tensor, a: Tensor): Tensor {
  const isLarge = np.greaterEqual(a, 1)
  const d = np.subtract(np.where(isLarge, a, np.add(a, 1)), 1 / 3)
  const c = np.divide(1 / 3, np.sqrt(d))
  const draw = (key: Tensor): { x: Tensor; v: Tensor } => {
    const { x, v } = whileLoop(
      state => np.lessEqual(state.v, 0),
      state => {
        const [next, now] = splitKeys(state.key)
        const z = normal(now)
        return { key: next, x: z, v: np.add(np.multiply(z, c), 1) }
      },
      { key, x: np.array(0), v: np.array(-1) },
    )
    return { x: np.square(x), v: np.multiply(np.square(v), v) }
  }
  const isRejected = ({ x, v, u }: { key: Tensor; x: Tensor; v: Tensor; u: Tensor }): Tensor => {
    const isOutside = np.greaterEqual(u, np.subtract(1, np.multiply(np.square(x), 0.0331)))
    const bound = np.add(np.multiply(x, 0.5), np.multiply(d, np.add(np.subtract(1, v), np.log(v))))
    return np.logicalAnd(isOutside, np.greaterEqual(np.log(u), bound))
  }
  const [key, boostKey] = splitKeys(k)
  const { v } = whileLoop(
    isRejected,
    state => {
      const [next, xKey, uKey] = splitKeys(state.key, 3)
      return { key: next, ...draw(xKey), u: uniform(uKey) }
    },
    { key, x: np.array(0), v: np.array(1), u: np.array(2) }, // rejected, for the loop to begin
  )
  const logUniform = np.negative(exponential(boostKey))
  const noBoost = np.logicalOr(isLarge, np.equal(logUniform, 0))
  const boost = np.where(noBoost, 0, np.multiply(logUniform, np.divide(1, a)))
  return np.add(np.add(np.log(d), np.log(v)), boost)
}

/** The logarithm of a draw from the gamma distribution, also where that draw would underflow: see `gamma`. */
export function loggamma(k: Tensor, a: TensorLike, shape?: Shape): Tensor {
  const alpha = parameter('gamma', a, shape)
  if (alpha.size === 0) return alpha
  const keys = split(k, alpha.size)
  return np.reshape(vmap(logGammaOne)(keys, np.reshape(alpha, [alpha.size])), alpha.shape)
}

/**
 * The gamma distribution of shape parameter a > 0 and scale 1, density x^(a - 1) e^-x / gamma(a); of a's shape unless
 * `shape` is given. JAX takes another product for small a, so that values there differ in the last digits.
 */
export const gamma = (k: Tensor, a: TensorLike, shape?: Shape): Tensor => np.exp(loggamma(k, a, shape))

/** The beta distribution, density proportional to x^(a - 1) (1 - x)^(b - 1): ga / (ga + gb) for two gamma draws. */
export function beta(k: Tensor, a: TensorLike, b: TensorLike, shape?: Shape): Tensor {
  const shapeOf = (x: TensorLike): readonly number[] => (x instanceof Tensor ? x.shape : [])
  const drawn = shape ?? broadcastShapes(shapeOf(a), shapeOf(b))
  const [keyA, keyB] = splitKeys(k)
  const [logA, logB] = [loggamma(keyA, a, drawn), loggamma(keyB, b, drawn)]
  const top = np.maximum(logA, logB)
  const [ga, gb] = [np.exp(np.subtract(logA, top)), np.exp(np.subtract(logB, top))]
  return np.divide(ga, np.add(ga, gb))
}

/**
 * The Dirichlet distribution of concentrations alpha [..., n]: gamma draws divided by their sum. Result [...shape, n];
 * `shape` is that of alpha's leading axes unless given.
 */
export function dirichlet(k: Tensor, alpha: Tensor, shape?: Shape): Tensor {
  check(
    alpha instanceof Tensor && alpha.ndim >= 1,
    () => `dirichlet needs concentrations [..., n], not ${String(alpha)}`,
  )
  const drawn = checkShape(shape ?? alpha.shape.slice(0, -1))
  const logs = loggamma(k, alpha, [...drawn, alpha.shape[alpha.ndim - 1]])
  const parts = np.exp(np.subtract(logs, np.max(logs, { axis: -1, keepdims: true })))
  return np.divide(parts, np.sum(parts, { axis: -1, keepdims: true }))
}

/**
 * Activation functions, element-wise; integers become float32. They and their derivatives are finite at infinities
 * wherever the limit is, and derivatives at kinks are JAX's.
 */
import { readOptions } from '../engine/api/arguments.js'
import { check } from '../base/errors.js'
import { composite } from '../engine/api/composite.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import { asFloat } from '../engine/api/np/operands.js'
import type { Tensor, TensorLike } from '../engine/api/tensor.js'

const reluOf = composite('relu', (x: Tensor) => np.maximum(x, 0), {
  vjp: {
    forward: x => {
      const y = np.maximum(x, 0)
      return [y, y]
    },
    backward: (y: Tensor, ct) => [np.multiply(ct, np.astype(np.greater(y, 0), ct.dtype))],
  },
})

/** max(x, 0), with derivative 0 at 0. */
export const relu = (x: TensorLike): Tensor => reluOf(np.asarray(x))

const geluOf = composite('gelu', (x: Tensor) => {
  const inner = np.multiply(np.add(x, np.multiply(np.multiply(np.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return np.multiply(np.multiply(x, 0.5), np.add(np.tanh(inner), 1))
})

/**
 * x times the normal distribution function at x (Hendrycks and Gimpel 2016). By default with its tanh approximation,
 * which T5 1.1 was trained with, and which gives NaN at -Infinity as in JAX; with `approximate: false` exactly, by
 * erfc.
 */
export function gelu(x: TensorLike, options: { approximate?: boolean } = {}): Tensor {
  const { approximate = true } = readOptions('nn.gelu', options, ['approximate'])
  if (approximate) return geluOf(np.asarray(x))
  return rectified(x, 0, v => np.multiply(np.multiply(v, 0.5), lax.erfc(np.multiply(v, -Math.SQRT1_2))))
}

/**
 * f at finite x, and its limits elsewhere: Infinity at Infinity, `low` at -Infinity. There its formula gives 0 *
 * Infinity = NaN.
 */
function rectified(x: TensorLike, low: number, f: (x: Tensor) => Tensor): Tensor {
  const v = asFloat(x)
  const isFinite = np.isFinite(v)
  return np.where(isFinite, f(np.where(isFinite, v, 0)), np.maximum(v, low))
}

/** Applies `f` where x <= 0, and to 0 elsewhere, so that it cannot overflow there. */
const below = (x: Tensor, f: (x: Tensor) => Tensor): Tensor =>
  np.where(np.greater(x, 0), x, f(np.where(np.greater(x, 0), 0, x)))

/** min(max(x, 0), 6), with derivative 0 at 0 and at 6. */
export const relu6 = (x: TensorLike): Tensor => lax.clamp(0, asFloat(x), 6)

/** x sigmoid(x), also called swish (Elfwing et al. 2017). */
export const silu = (x: TensorLike): Tensor => rectified(x, 0, v => np.multiply(v, np.sigmoid(v)))
/** The same function as `silu`. */
export const swish = silu

/** log(1 + e^x), without overflow. */
export const softplus = (x: TensorLike): Tensor => rectified(x, 0, v => np.logaddexp(v, 0))

/** log(sigmoid(x)) = -softplus(-x). */
export const logSigmoid = (x: TensorLike): Tensor => np.negative(softplus(np.negative(asFloat(x))))

/** x above 0, alpha (e^x - 1) below (Clevert et al. 2015). */
export const elu = (x: TensorLike, alpha = 1): Tensor => below(asFloat(x), v => np.multiply(np.expm1(v), alpha))

/** 1.0507 elu(x, 1.6733), whose outputs keep mean 0 and variance 1 (Klambauer et al. 2017). */
export const selu = (x: TensorLike): Tensor => np.multiply(elu(x, 1.6732632423543772), 1.0507009873554805)

/** x above 0, alpha (e^(x / alpha) - 1) below: `elu` with a continuous derivative (Barron 2017). */
export const celu = (x: TensorLike, alpha = 1): Tensor =>
  below(asFloat(x), v => np.multiply(np.expm1(np.divide(v, alpha)), alpha))

/** x from 0 on, slope x below. The derivative at 0 is 1. */
export function leakyRelu(x: TensorLike, slope = 0.01): Tensor {
  const v = asFloat(x)
  return np.where(np.greaterEqual(v, 0), v, np.multiply(v, slope))
}

/** x kept within [-1, 1]. The derivative at the bounds is 1. */
export function hardTanh(x: TensorLike): Tensor {
  const v = asFloat(x)
  return np.where(np.greater(v, 1), 1, np.where(np.less(v, -1), -1, v))
}

/** relu6(x + 3) / 6. */
export const hardSigmoid = (x: TensorLike): Tensor => np.divide(relu6(np.add(asFloat(x), 3)), 6)

/** x hardSigmoid(x), also called hard silu (Howard et al. 2019). */
export const hardSwish = (x: TensorLike): Tensor => rectified(x, 0, v => np.multiply(v, hardSigmoid(v)))

/** x tanh(softplus(x)) (Misra 2019). */
export const mish = (x: TensorLike): Tensor => rectified(x, 0, v => np.multiply(v, np.tanh(softplus(v))))

/** x / (1 + |x|); -1 and 1 at the infinities. */
export function softsign(x: TensorLike): Tensor {
  const v = asFloat(x)
  const isInfinite = np.isInf(v)
  const finite = np.where(isInfinite, 0, v)
  return np.where(isInfinite, np.sign(v), np.divide(finite, np.add(np.abs(finite), 1)))
}

/** (x + sqrt(x^2 + b)) / 2, a smooth approximation of relu (Barron 2021). */
export const squareplus = (x: TensorLike, b = 4): Tensor =>
  rectified(x, 0, v => np.multiply(np.add(v, np.sqrt(np.add(np.square(v), b))), 0.5))

/**
 * Gated linear unit: the first half of an axis (the last unless given) times the sigmoid of the second half (Dauphin et
 * al. 2016).
 */
export function glu(x: TensorLike, axis = -1): Tensor {
  const v = asFloat(x)
  check((v.shape.at(axis) ?? 1) % 2 === 0, () => `glu halves axis ${axis}, whose length must be even, of ${v}`)
  const [a, b] = np.split(v, 2, axis)
  return np.multiply(a, np.sigmoid(b))
}

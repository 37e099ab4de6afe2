/** Discrete distributions. */
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sameShape } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { whileLoop } from '../lax/control-flow.js'
import { lgamma } from '../lax/special.js'
import * as np from '../np.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape, normalizeAxis, stretch } from '../values.js'
import type { Shape } from '../values.js'
import { gumbel, uniform } from './continuous.js'
import { asOneProgram } from './draw.js'
import { parameter } from './gamma.js'
import { bits, splitKeys } from './keys.js'

/** True with probability p: bool, of p's shape unless given. */
export const bernoulli = (
  k: Tensor,
  p: number | Tensor = 0.5,
  shape: Shape = p instanceof Tensor ? p.shape : [],
): Tensor => drawBernoulli([k, np.asarray(p)], checkShape(shape))
const drawBernoulli = asOneProgram(([k, p], lengths: readonly number[]) => np.less(uniform(k, lengths), p))

/** -1 or 1, equally likely. */
export const rademacher = (k: Tensor, shape: Shape = [], dtype: DType = 'int32'): Tensor =>
  drawSigns([k], checkShape(shape), dtype)
const drawSigns = asOneProgram(([k], lengths: readonly number[], dtype: DType) =>
  np.astype(np.subtract(np.multiply(np.astype(bernoulli(k, 0.5, lengths), 'int32'), 2), 1), dtype),
)

/**
 * Positions (int32) along an axis of unnormalized log probabilities, drawn by them (the Gumbel-max trick). One for each
 * row of `logits`; `shape`, whose last lengths are those of the rows, asks for more.
 */
export function categorical(k: Tensor, logits: Tensor, options: { axis?: number; shape?: Shape } = {}): Tensor {
  const { axis = -1, shape } = readOptions('random.categorical', options, ['axis', 'shape'])
  const at = normalizeAxis(axis, logits.ndim)
  const rows = logits.shape.toSpliced(at, 1)
  const drawn = checkShape(shape ?? rows)
  const more = drawn.length - rows.length
  check(
    more >= 0 && sameShape(rows, drawn.slice(more)),
    () => `categorical: the shape [${drawn}] must end with [${rows}], the rows of ${logits}`,
  )
  return drawCategory([k, logits], drawn.toSpliced(more + at, 0, logits.shape[at]), more + at)
}
const drawCategory = asOneProgram(([k, logits], lengths: readonly number[], axis: number) =>
  np.argmax(np.add(gumbel(k, lengths), logits), axis),
)

/** Integers in [minval, maxval), equally likely to within 2^-32: the remainder of 64 random bits. */
export function randint(
  k: Tensor,
  shape: Shape,
  minval: number,
  maxval: number,
  dtype: DType & ('int32' | 'uint32') = 'int32',
): Tensor {
  const [least, most] = dtype === 'int32' ? [-(2 ** 31), 2 ** 31] : [0, 2 ** 32]
  check(
    Number.isInteger(minval) && Number.isInteger(maxval) && least <= minval && minval < maxval && maxval <= most,
    () => `randint needs whole numbers with ${least} <= minval < maxval <= ${most}, not ${minval} and ${maxval}`,
  )
  const span = maxval - minval
  const half = 2 ** 16 % span
  const multiplier = (Math.imul(half, half) >>> 0) % span // 2^32 modulo span, in 32-bit arithmetic as JAX has it
  // All 2^32 values are one span: `span >>> 0` is 0, and the remainder by 0 is the number itself.
  const [by, factor] = [span >>> 0, multiplier].map(x => np.array(x, 'uint32'))
  return drawIntegers([k, np.array(minval, dtype), by, factor], checkShape(shape))
}
const drawIntegers = asOneProgram(([k, minval, span, factor], lengths: readonly number[]) => {
  const rest = (x: Tensor): Tensor => new Tensor(ops.rem(x.value, stretch(span.value, lengths)))
  const [high, low] = splitKeys(k).map(half => rest(bits(half, lengths)))
  const offset = rest(np.add(np.multiply(high, factor), low))
  return np.add(new Tensor(ops.bitcastConvertType(offset.value, minval.dtype)), minval)
})

/** Draws below 10 by Knuth's method: uniform numbers are multiplied until the product is below e^-rate. */
function poissonByProducts(k: Tensor, rate: Tensor): Tensor {
  const isOpen = (logProduct: Tensor): Tensor => np.greater(logProduct, np.negative(rate))
  const { count } = whileLoop(
    state => np.any(isOpen(state.logProduct)),
    ({ count, key, logProduct }) => {
      const [next, now] = splitKeys(key)
      return {
        count: np.where(isOpen(logProduct), np.add(count, 1), count),
        key: next,
        logProduct: np.add(logProduct, np.log(uniform(now, rate.shape))),
      }
    },
    { count: np.zeros(rate.shape, 'int32'), key: k, logProduct: np.zeros(rate.shape) },
  )
  return np.subtract(count, 1)
}

/**
 * Draws from 10 on by transformed rejection (PTRS). Hoermann, "The transformed rejection method for generating Poisson
 * random variables" (1993).
 */
function poissonByRejection(k: Tensor, rate: Tensor): Tensor {
  const b = np.add(np.multiply(np.sqrt(rate), 2.53), 0.931)
  const a = np.add(np.multiply(b, 0.02483), -0.059)
  const inverseAlpha = np.add(np.divide(1.1328, np.subtract(b, 3.4)), 1.1239)
  const squeeze = np.subtract(0.9277, np.divide(3.6224, np.subtract(b, 2)))
  const { count } = whileLoop(
    state => np.any(np.logicalNot(state.isAccepted)),
    state => {
      const [next, uKey, vKey] = splitKeys(state.key, 3)
      const u = np.subtract(uniform(uKey, rate.shape), 0.5)
      const v = uniform(vKey, rate.shape)
      const edge = np.subtract(0.5, np.abs(u))
      const position = np.multiply(np.add(np.divide(np.multiply(a, 2), edge), b), u)
      const n = np.floor(np.add(np.add(position, rate), 0.43))
      const density = np.add(np.divide(a, np.square(edge)), b)
      const s = np.log(np.divide(np.multiply(v, inverseAlpha), density))
      const t = np.subtract(np.subtract(np.multiply(n, np.log(rate)), rate), lgamma(np.add(n, 1)))
      const isSurelyIn = np.logicalAnd(np.greaterEqual(edge, 0.07), np.lessEqual(v, squeeze))
      const isSurelyOut = np.logicalOr(np.less(n, 0), np.logicalAnd(np.less(edge, 0.013), np.greater(v, edge)))
      const isIn = np.logicalOr(isSurelyIn, np.logicalAnd(np.logicalNot(isSurelyOut), np.lessEqual(s, t)))
      return {
        count: np.where(isIn, n, state.count),
        isAccepted: np.logicalOr(state.isAccepted, isIn),
        key: next,
      }
    },
    { count: np.full(rate.shape, -1), isAccepted: np.full(rate.shape, false, 'bool'), key: k },
  )
  return np.astype(count, 'int32')
}

/**
 * The Poisson distribution of a rate >= 0: int32, of the rate's shape unless given. A negative rate and NaN give -1, an
 * infinite rate 0, as in JAX.
 */
export function poisson(k: Tensor, rate: TensorLike, shape?: Shape): Tensor {
  const wide = parameter('poisson', rate, shape)
  // No rejection accepts NaN. The other method ends at once for it, with -1, as in JAX.
  const isSmall = np.logicalOr(np.isNan(wide), np.less(wide, 10))
  const small = poissonByProducts(k, np.where(isSmall, wide, 0))
  const large = poissonByRejection(k, np.where(isSmall, 1e5, wide))
  return np.where(np.equal(wide, 0), 0, np.where(isSmall, small, large))
}

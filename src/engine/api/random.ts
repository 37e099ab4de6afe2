/**
 * JAX's random numbers: explicit keys and threefry2x32, in its partitionable form, where each element's bits depend on
 * its position alone. A key is an array uint32[2]; use each key once, and `split` or `foldIn` for more. Bits, keys and
 * permutations are JAX 0.10's bit for bit, floats to rounding.
 */
import { allocate } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { sizeOf } from '../../base/host-tensor.js'
import { sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Value } from '../program/value.js'
import { Tensor } from './tensor.js'
import type { TensorLike } from './tensor.js'
import { defaultEngine } from './engine.js'
import * as np from './np.js'
import { checkShape, constant, normalizeAxis, stretch } from './values.js'
import type { Shape } from './values.js'

/** The key of a seed: a whole number of 0 or more, of 64 bits at most. */
export function key(seed: number | bigint): Tensor {
  check(
    typeof seed === 'bigint' ? seed >= 0n && seed < 2n ** 64n : Number.isSafeInteger(seed) && seed >= 0,
    () => `a seed is a whole number of 0 or more, not ${seed}`,
  )
  const bits = BigInt(seed)
  return np.array([bits >> 32n, bits & 0xffffffffn], 'uint32')
}

/** Two words of random bits for each pair of counters. */
function threefry(k: Tensor, high: Value, low: Value): [Value, Value] {
  check(
    k.dtype === 'uint32' && k.ndim === 1 && k.size === 2,
    () => `a key is u32[2] (random.key, random.split), not ${k}`,
  )
  const word = (i: number): Value => stretch(ops.reshape(ops.slice(k.value, [i], [i + 1]), []), low.shape)
  const [first, second] = ops.threefry2x32([word(0), word(1), high, low])
  return [first, second]
}

/** The same, for counters 0, 1, ... in row-major order. */
function counted(k: Tensor, shape: Shape): [Value, Value] {
  const lengths = checkShape(shape)
  const size = sizeOf(lengths)
  check(size <= 2 ** 32, () => `${size} random elements are too many for one array`)
  const low = ops.reshape(ops.iota('uint32', [size], 0), lengths)
  return threefry(k, ops.zerosLike(low), low)
}

/** `n` new keys, the rows of an array uint32[n, 2]. */
export function split(k: Tensor, n = 2): Tensor {
  const words = counted(k, [n])
  return new Tensor(
    ops.concatenate(
      words.map(w => ops.reshape(w, [n, 1])),
      1,
    ),
  )
}

/** The new keys of `split`, each an array of its own. */
export const splitKeys = (k: Tensor, n = 2): Tensor[] => np.split(split(k, n), n).map(row => np.reshape(row, [2]))

/** A new key from a key and a number, such as a step or a layer; an array must be an integer scalar. */
export function foldIn(k: Tensor, data: number | Tensor): Tensor {
  check(
    data instanceof Tensor ? data.ndim === 0 && np.promote(data.dtype, 'int64') === 'int64' : Number.isInteger(data),
    () => `foldIn takes an integer, not ${data}`,
  )
  defaultEngine()
  const low = data instanceof Tensor ? ops.convertElementType(data.value, 'uint32') : constant(data >>> 0, 'uint32')
  return new Tensor(
    ops.concatenate(
      threefry(k, constant(0, 'uint32'), low).map(w => ops.reshape(w, [1])),
      0,
    ),
  )
}

/** Random bits, of 32, 16 or 8 to an element. */
export function bits(k: Tensor, shape: Shape = [], dtype: 'uint32' | 'uint16' | 'uint8' = 'uint32'): Tensor {
  const [high, low] = counted(k, shape)
  return new Tensor(ops.convertElementType(ops.xor(high, low), dtype))
}

/** Uniform in [minval, maxval), float32, of 23 random bits: they become the fraction of a number in [1, 2). */
export function uniform(
  k: Tensor,
  shape: Shape = [],
  { minval = 0, maxval = 1 }: { minval?: TensorLike; maxval?: TensorLike } = {},
): Tensor {
  const fraction = ops.shiftRightLogical(bits(k, shape).value, 9)
  const unit = new Tensor(ops.sub(ops.bitcastConvertType(ops.or(fraction, 0x3f800000), 'float32'), 1))
  if (minval === 0 && maxval === 1) return unit
  const width =
    typeof minval === 'number' && typeof maxval === 'number'
      ? Math.fround(Math.fround(maxval) - Math.fround(minval))
      : np.subtract(maxval, minval)
  return np.maximum(np.add(np.multiply(unit, width), minval), minval) // the sum may round below
}

/** The float32 next to x, up or down. */
function nextFloat(x: number, direction: 1 | -1): number {
  const data = allocate('float32', 1) as Float32Array
  data[0] = x
  if (data[0] === 0) return direction * 2 ** -149
  const words = new Int32Array(data.buffer)
  words[0] += data[0] > 0 === direction > 0 ? 1 : -1
  return data[0]
}

const sqrt2 = Math.fround(Math.SQRT2)

/** The standard normal distribution, float32, by the inverse of its distribution function. */
export function normal(k: Tensor, shape: Shape = []): Tensor {
  return np.multiply(np.erfInv(uniform(k, shape, { minval: nextFloat(-1, 1), maxval: 1 })), sqrt2)
}

/** The standard normal distribution within (lower, upper). */
export function truncatedNormal(k: Tensor, lower: number, upper: number, shape: Shape = []): Tensor {
  check(lower < upper, () => `truncatedNormal needs lower < upper, not ${lower} and ${upper}`)
  const [minval, maxval] = [lower, upper].map(bound => np.erf(np.full([], bound / sqrt2)))
  const x = np.multiply(np.erfInv(uniform(k, shape, { minval, maxval })), sqrt2)
  return np.clip(x, nextFloat(lower, 1), nextFloat(upper, -1))
}

/** True with probability p; of p's shape unless given. */
export function bernoulli(
  k: Tensor,
  p: number | Tensor = 0.5,
  shape: Shape = p instanceof Tensor ? p.shape : [],
): Tensor {
  return np.less(uniform(k, shape), p)
}

const smallestNormal = 2 ** -126

/** The standard Gumbel distribution, float32: -log(-log(u)). */
export function gumbel(k: Tensor, shape: Shape = []): Tensor {
  return np.negative(np.log(np.negative(np.log(uniform(k, shape, { minval: smallestNormal, maxval: 1 })))))
}

/**
 * Positions (int32) along an axis of unnormalized log probabilities, drawn by them (the Gumbel-max trick). One for each
 * row of `logits`; `shape`, whose last lengths are those of the rows, asks for more.
 */
export function categorical(
  k: Tensor,
  logits: Tensor,
  { axis = -1, shape }: { axis?: number; shape?: Shape } = {},
): Tensor {
  const at = normalizeAxis(axis, logits.ndim)
  const rows = logits.shape.toSpliced(at, 1)
  const drawn = checkShape(shape ?? rows)
  const more = drawn.length - rows.length
  check(
    more >= 0 && sameShape(rows, drawn.slice(more)),
    () => `categorical: the shape [${drawn}] must end with [${rows}], the rows of ${logits}`,
  )
  const noise = gumbel(k, drawn.toSpliced(more + at, 0, logits.shape[at]))
  return np.argmax(np.add(noise, logits), more + at)
}

/** Integers in [minval, maxval), from 64 random bits each, whose remainder is very nearly even. */
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
  const [high, low] = splitKeys(k).map(half => bits(half, shape).value)
  const span = maxval - minval
  const half = 2 ** 16 % span
  const multiplier = (Math.imul(half, half) >>> 0) % span // 2^32 modulo span, in 32-bit arithmetic as JAX has it
  // All 2^32 values are one span, whose remainder is the number itself.
  const rest = (x: Value): Value => (span === 2 ** 32 ? x : ops.rem(x, span))
  const offset = rest(ops.add(ops.mul(rest(high), multiplier), rest(low)))
  return new Tensor(ops.add(ops.bitcastConvertType(offset, dtype), minval))
}

/**
 * The rows of x along an axis in random order; a number stands for 0, 1, ..., n - 1. Sorts by random bits, in as many
 * rounds as make equal bits unlikely to matter.
 */
export function permutation(k: Tensor, x: number | Tensor, axis = 0): Tensor {
  if (x instanceof Tensor && x.ndim !== 1) return np.take(x, permutation(k, x.shape[normalizeAxis(axis, x.ndim)]), axis)
  const items = x instanceof Tensor ? x : np.arange(x)
  const rounds = Math.ceil((3 * Math.log(Math.max(1, items.size))) / Math.log(2 ** 32 - 1))
  let [rest, shuffled] = [k, items.value]
  for (let round = 0; round < rounds; round++) {
    const [next, now] = splitKeys(rest)
    shuffled = ops.sort([bits(now, items.shape).value, shuffled], 0)[1]
    rest = next
  }
  return new Tensor(shuffled)
}

/**
 * TensorFlow's stateless random operations with the generator Philox, which is `auto_select` on a CPU: equal to them
 * bit for bit. A result depends only on the seed and the arguments.
 */
import { check } from '../../base/errors.js'
import { streamOf } from './seed.js'
import type { Seed, SeedDtype } from './seed.js'

// Table of contents: bits, integers, floats, seeds, permutations.

/** `count` uniformly random 32-bit words (`stateless_uniform` of dtype uint32; as int32, the full-range integers). */
export const randomBits = (seed: Seed, count: number): Uint32Array => streamOf(seed).words(count)

/**
 * `count` int32 values in [minimum, maximum): minimum + word mod (maximum - minimum), with an unsigned remainder. An
 * empty interval is an error, unless `count` is 0, as in TensorFlow.
 */
export function uniformInt32(seed: Seed, count: number, minimum: number, maximum: number): Int32Array {
  if (count === 0) return new Int32Array(0)
  check(minimum < maximum, () => `a random integer needs a minimum below the maximum, not [${minimum}, ${maximum})`)
  const words = randomBits(seed, count)
  const range = maximum - minimum
  const values = new Int32Array(count)
  for (let i = 0; i < count; i++) values[i] = minimum + (words[i] % range)
  return values
}

/** One int32 in [minimum, maximum): the scalar of `uniformInt32`. */
export const randomInt32 = (seed: Seed, minimum: number, maximum: number): number =>
  uniformInt32(seed, 1, minimum, maximum)[0]

/** The number of random bits of a float32: the low 23 bits of a word are its mantissa. */
export const FLOAT_BITS = 23

const FLOAT_STEPS = 2 ** FLOAT_BITS

/** The float32 in [0, 1) that TensorFlow makes of a 32-bit word. */
const floatOf = (word: number): number => (word & (FLOAT_STEPS - 1)) / FLOAT_STEPS

/**
 * `count` float32 values in [minimum, maximum): u * (maximum - minimum) + minimum, each step rounded to float32 as in
 * TensorFlow.
 */
export function uniformFloat32(seed: Seed, count: number, minimum = 0, maximum = 1): Float32Array {
  const words = randomBits(seed, count)
  const low = Math.fround(minimum)
  const range = Math.fround(Math.fround(maximum) - low)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = Math.fround(floatOf(words[i]) * range) + low
  return values
}

/** One float32 in [minimum, maximum): the scalar of `uniformFloat32`. */
export const randomFloat32 = (seed: Seed, minimum = 0, maximum = 1): number =>
  uniformFloat32(seed, 1, minimum, maximum)[0]

/** The float64 in [0, 1) of two words: 20 bits of the first are the high mantissa bits, the second the low 32. */
export const doubleOf = (first: number, second: number): number => (first & 0xfffff) / 2 ** 20 + second / 2 ** 52

/**
 * `count` new seeds (`tf.random.experimental.stateless_split`): full-range integers of the seed's dtype. An int64 pair
 * takes four words, an int32 pair two, which are sign-extended.
 */
export function splitSeed(seed: Seed, count = 2, dtype: SeedDtype = 'int64'): Seed[] {
  const stride = dtype === 'int64' ? 4 : 2
  const words = randomBits(seed, stride * count)
  const seeds: Seed[] = []
  for (let at = 0; at < words.length; at += stride)
    seeds.push(
      dtype === 'int64'
        ? [words[at], words[at + 1], words[at + 2], words[at + 3]]
        : [words[at], signOf(words[at]), words[at + 1], signOf(words[at + 1])],
    )
  return seeds
}

/** The high word of an int32 that is extended to 64 bits. */
const signOf = (word: number): number => (word >> 31) >>> 0

/** The seed (a full-range integer drawn from `seed`, data): `stateless_fold_in`. */
export function foldIn(seed: Seed, data: number, dtype: SeedDtype = 'int64'): Seed {
  const words = randomBits(seed, 2)
  const low = data >>> 0
  return [
    words[0],
    dtype === 'int64' ? words[1] : signOf(words[0]),
    low,
    data < 0 ? 0xffffffff : Math.floor(data / 2 ** 32),
  ]
}

/**
 * A random permutation of 0 to count - 1: the indices that sort `count` uniform floats, where equal floats keep their
 * order (they have only 23 bits, so equal ones do occur). `seqio.stateless_shuffle` gathers by it.
 */
export function statelessPermutation(seed: Seed, count: number): Int32Array {
  const words = randomBits(seed, count)
  check(count < 2 ** 30, () => `a permutation of ${count} items is too long: at most 2^30 - 1`)
  // Key and index in one exact double: 23 + 30 bits. Typed arrays sort numbers natively, far faster than by a function.
  const sorted = new Float64Array(count)
  for (let i = 0; i < count; i++) sorted[i] = (words[i] & (FLOAT_STEPS - 1)) * 2 ** 30 + i
  sorted.sort()
  const permutation = new Int32Array(count)
  for (let i = 0; i < count; i++) permutation[i] = sorted[i] % 2 ** 30
  return permutation
}

/** The ids in random order: `seqio.stateless_shuffle`. */
export const statelessShuffle = (ids: Int32Array, seed: Seed): Int32Array =>
  statelessPermutation(seed, ids.length).map(i => ids[i])

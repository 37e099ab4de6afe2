import { PhiloxStream } from './philox.js'

/**
 * A seed of TensorFlow's stateless operations: a pair of 64-bit integers as four unsigned 32-bit words, the low word of
 * each first.
 */
export type Seed = readonly [number, number, number, number]

/** The integer type of a seed pair in TensorFlow. SeqIO's seeds are int64. */
export type SeedDtype = 'int64' | 'int32'

/**
 * The seed of two integers. A bigint is taken modulo 2^64, a number must be a safe integer; negative ones are
 * sign-extended.
 */
export function seedOf(first: number | bigint, second: number | bigint): Seed {
  return [...wordsOf(first), ...wordsOf(second)]
}

/** The low and the high word of an integer modulo 2^64. */
export function wordsOf(value: number | bigint): readonly [number, number] {
  if (typeof value === 'number' && value >= 0 && value < 2 ** 32) return [value, 0]
  const bits = BigInt.asUintN(64, BigInt(value))
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)]
}

/** The signed 64-bit integers of a seed. */
export function integersOf([low0, high0, low1, high1]: Seed): [bigint, bigint] {
  return [signed(low0, high0), signed(low1, high1)]
}

const signed = (low: number, high: number): bigint => BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))

/** The key of the Philox block that scrambles stateless seeds. */
const SCRAMBLE: readonly [number, number] = [0x3ec8f720, 0x02461e29]

/**
 * The words of a stateless seed. One Philox block of the seed, under a fixed key, gives m0 to m3: the stream's key is
 * (m0, m1), its counter begins at (0, 0, m2, m3).
 */
export function streamOf(seed: Seed): PhiloxStream {
  const [m0, m1, m2, m3] = new PhiloxStream(SCRAMBLE, seed).words(4)
  return new PhiloxStream([m0, m1], [0, 0, m2, m3])
}

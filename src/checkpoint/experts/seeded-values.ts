import { toBfloat16Bits } from '../../base/dtypes.js'
import { hashText, mix32 } from '../../base/hash.js'
import { erfInvPolynomials } from '../../engine/compile/erf-inv.js'

/** The integers that stand for the largest magnitude of a quantized kernel: see checkpoint/quantize.ts. */
const LARGEST = { 8: 127, 4: 7 } as const

/** The form in which seeded values are stored: a dtype, or integers of these bits with a scale apart. */
export type SeededForm = 'float32' | 'bfloat16' | 8 | 4

/**
 * Fills memory with values of a normal distribution cut at two standard deviations, which depend on `seed` and `name`
 * alone. They are made directly in the stored form: random bits are the index into a table of the distribution's
 * quantiles, of 65,536 values for floating point, 256 for 8 bits, and 16 for 4 bits. (A model from `init` without
 * seeded experts has other values.)
 */
export function fillSeeded(into: Uint8Array, form: SeededForm, stddev: number, seed: number, name: string): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, Math.floor(into.byteLength / 4))
  fillRandom(words, mix32(seed), hashText(name))
  // Fewer than 4 bytes are left over only in the small models of tests.
  for (let i = 4 * words.length; i < into.byteLength; i++) into[i] = mix32(hashText(`${name}/${i}`) ^ seed)
  if (form === 'float32') {
    const table = quantiles(2 ** 16).map(x => x * stddev)
    const values = new Float32Array(words.buffer, words.byteOffset, words.length)
    for (let i = 0; i < words.length; i++) values[i] = table[words[i] >>> 16]
  } else if (form === 'bfloat16') {
    const values = new Uint16Array(into.buffer, into.byteOffset, into.byteLength / 2)
    const table = quantiles(2 ** 16).map(x => toBfloat16Bits(x * stddev))
    for (let i = 0; i < values.length; i++) values[i] = table[values[i]]
  } else {
    const table = byteTable(form)
    for (let i = 0; i < into.length; i++) into[i] = table[into[i]]
  }
}

/** The scale of quantized seeded values: the largest magnitude is two standard deviations. */
export const seededScale = (bits: 8 | 4, stddev: number): number => (2 * stddev) / LARGEST[bits]

/**
 * Random words by their positions: word i is a hash of i and the keys, so that no state is carried from one to the
 * next.
 */
function fillRandom(words: Uint32Array, key0: number, key1: number): void {
  for (let i = 0; i < words.length; i++) words[i] = mix32(mix32(Math.imul(i, GOLDEN) + key0) ^ key1)
}

/** 2^32 divided by the golden ratio: multiples of it spread evenly. */
const GOLDEN = 0x9e3779b9

/** The bytes of quantized values for each random byte: one signed integer, or two integers of 4 bits, stored plus 8. */
function byteTable(bits: 8 | 4): Uint8Array {
  const integers = [...quantiles(2 ** bits)].map(x => Math.round((x / 2) * LARGEST[bits]))
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    bits === 8 ? integers[byte] : (integers[byte & 15] + 8) | ((integers[byte >> 4] + 8) << 4),
  )
}

/** The probability that a normal variable lies within two standard deviations: erf(sqrt(2)). */
const WITHIN_TWO = 0.9544997361036416

/**
 * The middle quantiles of n equal parts of the standard normal distribution, cut at -2 and 2: sqrt(2) erfInv(x) for n
 * evenly spaced x.
 */
const quantiles = (n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => {
    const x = ((2 * i + 1) / n - 1) * WITHIN_TWO
    const w = -Math.log(1 - x * x) - 2.5
    return Math.SQRT2 * x * erfInvPolynomials.central.reduceRight((sum: number, c) => sum * w + c, 0)
  })

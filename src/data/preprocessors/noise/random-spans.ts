import { roundHalfEven } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import type { Seed, SeedDtype } from '../../random/seed.js'
import { randomInt32 } from '../../random/stateless.js'
import { randomSegmentation } from './random-segmentation.js'
import { checkSpans } from './random-spans-helper.js'

export interface RandomSpansOptions {
  /** The mean length of a noise span in tokens. Default: 3. */
  readonly meanNoiseSpanLength?: number
  /** Rolls the mask by a random offset, so that it may begin with noise. Default: false. */
  readonly randomRoll?: boolean
  /** The integer type of the seeds, which matters for the roll alone. Default: int64, as in SeqIO. */
  readonly seedDtype?: SeedDtype
}

/**
 * T5's `random_spans_noise_mask`: non-noise and noise spans in turns, beginning with non-noise, of random lengths.
 * There are round(length * density) noise tokens in round(noise / mean) spans, both at least 1, computed in float32;
 * all masks of these numbers are equally likely. Seed 0 cuts the noise into spans, seed 1 the rest.
 *
 * Throws a ShapeError if there are fewer tokens of one kind than spans.
 */
export function randomSpansNoiseMask(
  length: number,
  noiseDensity: number,
  seeds: readonly Seed[],
  { meanNoiseSpanLength = 3, randomRoll = false, seedDtype = 'int64' }: RandomSpansOptions = {},
): Uint8Array {
  const mask = new Uint8Array(length)
  if (noiseDensity === 0) return mask
  checkSpans({ noiseDensity, meanNoiseSpanLength })
  // Both kinds need a token, so a shorter text is treated as one of two tokens and its mask is cut.
  const tokens = Math.max(length, 2)
  const wanted = roundHalfEven(Math.fround(tokens * Math.fround(noiseDensity)))
  const noise = Math.min(Math.max(wanted, 1), tokens - 1)
  const spans = Math.max(roundHalfEven(Math.fround(noise / Math.fround(meanNoiseSpanLength))), 1)
  check(
    spans <= noise && spans <= tokens - noise,
    () =>
      `${spans} noise spans need as many noise and as many other tokens, but of ${tokens} tokens ${noise} are noise: lower the noise density or raise the mean span length`,
  )
  const noiseLengths = randomSegmentation(noise, spans, seeds[0])
  const otherLengths = randomSegmentation(tokens - noise, spans, seeds[1])
  for (let span = 0, at = 0; span < spans; span++) {
    const start = at + otherLengths[span]
    at = start + noiseLengths[span]
    mask.fill(1, start, at)
  }
  return randomRoll ? rolled(mask, randomInt32(rollSeed(seeds, seedDtype), 0, tokens)) : mask
}

/** The seed of the roll: seed 0's first integer plus seed 1's second, and seed 0's second minus seed 1's first. */
function rollSeed([seed0, seed1]: readonly Seed[], dtype: SeedDtype): Seed {
  const first = addWords(seed0[0], seed0[1], seed1[2], seed1[3])
  // a - b = a + ~b + 1
  const second = addWords(seed0[2], seed0[3], ~seed1[0] >>> 0, ~seed1[1] >>> 0, 1)
  const high = (low: number): number => (low >> 31) >>> 0
  return dtype === 'int64' ? [...first, ...second] : [first[0], high(first[0]), second[0], high(second[0])]
}

/** The sum of two 64-bit integers and a carry, modulo 2^64, as two words. */
function addWords(lowA: number, highA: number, lowB: number, highB: number, carry = 0): [number, number] {
  const low = lowA + lowB + carry
  return [low >>> 0, (highA + highB + (low >= 2 ** 32 ? 1 : 0)) >>> 0]
}

/** The mask with each flag moved to the right by `offset` places, and the last ones to the beginning. */
function rolled(mask: Uint8Array, offset: number): Uint8Array {
  const result = new Uint8Array(mask.length)
  for (let i = 0; i < mask.length; i++) result[(i + offset) % mask.length] = mask[i]
  return result
}

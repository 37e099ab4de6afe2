/**
 * T5's noise masks: functions that choose which tokens of an example are noise. A mask has a 1 for each noise token and
 * a 0 for each other one. T5 computes them in float32.
 */
import { roundHalfEven } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import type { Seed } from '../../random/seed.js'
import { randomInt32, uniformFloat32 } from '../../random/stateless.js'

/** Chooses the noise among `length` tokens. It gets two seeds. */
export type NoiseMask = (length: number, noiseDensity: number, seeds: readonly Seed[]) => Uint8Array

/** `iid_noise_mask`: each token is noise with a probability of `noiseDensity`. Draws from seed 0. */
export function iidNoiseMask(length: number, noiseDensity: number, seeds: readonly Seed[]): Uint8Array {
  const density = Math.fround(noiseDensity)
  return Uint8Array.from(uniformFloat32(seeds[0], length), value => (value < density ? 1 : 0))
}

/**
 * `regular_noise_mask`: noise spans of one length at equal distances. The length is random from `minSpanLength` to
 * `maxSpanLength` (seed 0), and where the first begins is random as well (seed 1).
 */
export function regularNoiseMask(
  length: number,
  noiseDensity: number,
  seeds: readonly Seed[],
  { minSpanLength = 1, maxSpanLength = 5 }: { readonly minSpanLength?: number; readonly maxSpanLength?: number } = {},
): Uint8Array {
  const spanLength = randomInt32(seeds[0], minSpanLength, maxSpanLength + 1)
  const period = roundHalfEven(Math.fround(spanLength / Math.fround(noiseDensity)))
  check(
    period >= 1 && period < 2 ** 31,
    () => `regular noise needs a density above 0 and at most twice the span length, not ${noiseDensity}`,
  )
  const offset = randomInt32(seeds[1], 0, period)
  return Uint8Array.from({ length }, (_, i) => ((i + offset) % period < spanLength ? 1 : 0))
}

/**
 * `random_prefix_noise_mask`: the first tokens are noise, as many as a random number from about (1 - 2 density) *
 * length (at least 1) to length - 1. Draws from seed 0. The density must be at most 0.5.
 */
export function randomPrefixNoiseMask(length: number, noiseDensity: number, seeds: readonly Seed[]): Uint8Array {
  check(noiseDensity <= 0.5, () => `a random prefix needs a noise density of at most 0.5, not ${noiseDensity}`)
  const most = length - 1
  const least = Math.min(most, Math.max(1, roundHalfEven(Math.fround(Math.fround(1 - 2 * noiseDensity) * most))))
  return new Uint8Array(length).fill(1, 0, Math.max(0, randomInt32(seeds[0], least, most + 1)))
}

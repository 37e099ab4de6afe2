import { describe, expect, it } from 'vitest'
import { ShapeError } from '../../../src/base/errors.js'
import { iidNoiseMask, randomPrefixNoiseMask, regularNoiseMask } from '../../../src/data/preprocessors/noise/masks.js'
import * as noiseFunctions from '../../../src/data/preprocessors/noise/noise-functions.js'
import type { NoiseFunction } from '../../../src/data/preprocessors/noise/noise-functions.js'
import { randomSpansHelper } from '../../../src/data/preprocessors/noise/random-spans-helper.js'
import { randomSpansNoiseMask } from '../../../src/data/preprocessors/noise/random-spans.js'
import { seedOf } from '../../../src/data/random/seed.js'
import type { Seed, SeedDtype } from '../../../src/data/random/seed.js'
import { seqioCases } from './cases.js'
import { camelCase } from './t5-cases.js'

interface MaskCase {
  length: number
  noise_density: number
  seeds: [number, number][]
  seed_dtype: SeedDtype
  mean_noise_span_length?: number
  random_roll?: boolean
  min_span_length?: number
  max_span_length?: number
  mask?: string
  error?: string
}

interface NoiseCase {
  tokens: number[]
  mask: string
  vocab_size: number
  seeds: [number, number][]
  output?: number[]
  error?: string
}

const seedsOf = (pairs: readonly [number, number][]): Seed[] => pairs.map(pair => seedOf(...pair))

const masks: { [name: string]: (c: MaskCase) => Uint8Array } = {
  random_spans_noise_mask: c =>
    randomSpansNoiseMask(c.length, c.noise_density, seedsOf(c.seeds), {
      meanNoiseSpanLength: c.mean_noise_span_length,
      randomRoll: c.random_roll,
      seedDtype: c.seed_dtype,
    }),
  iid_noise_mask: c => iidNoiseMask(c.length, c.noise_density, seedsOf(c.seeds)),
  regular_noise_mask: c =>
    regularNoiseMask(c.length, c.noise_density, seedsOf(c.seeds), {
      minSpanLength: c.min_span_length,
      maxSpanLength: c.max_span_length,
    }),
  random_prefix_noise_mask: c => randomPrefixNoiseMask(c.length, c.noise_density, seedsOf(c.seeds)),
}

const functions: { [name: string]: NoiseFunction | undefined } = { ...noiseFunctions }

it('random_spans_helper', () => {
  for (const [
    inputsLength,
    noiseDensity,
    meanNoiseSpanLength,
    inputs,
    targets,
    tokensLength,
    targetsLength,
  ] of seqioCases<number[][]>('t5_helper.json')) {
    const options = {
      inputsLength,
      noiseDensity,
      meanNoiseSpanLength,
      extraTokensPerSpanInputs: inputs,
      extraTokensPerSpanTargets: targets,
    }
    expect(randomSpansHelper(options), JSON.stringify(options)).toEqual({ tokensLength, targetsLength })
  }
})

describe.each(Object.entries(seqioCases<{ [name: string]: MaskCase[] }>('t5_masks.json')))('%s', (name, cases) => {
  it.each(cases)('length $length, density $noise_density, seeds $seeds', c => {
    if (c.error === undefined) expect(masks[name](c).join('')).toBe(c.mask)
    else expect(() => masks[name](c)).toThrow(ShapeError)
  })
})

describe.each(Object.entries(seqioCases<{ [name: string]: NoiseCase[] }>('t5_noise_fns.json')))('%s', (name, cases) => {
  it.each(cases)('of $tokens.length tokens, seeds $seeds', c => {
    const noise = functions[camelCase(name)]!
    const run = () => noise(Int32Array.from(c.tokens), Uint8Array.from(c.mask, Number), c.vocab_size, seedsOf(c.seeds))
    if (c.error === undefined) expect([...run()]).toEqual(c.output)
    else expect(run).toThrow(ShapeError)
  })
})

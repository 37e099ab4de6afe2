import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../src/base/errors.js'
import { datasetOf } from '../../../src/data/dataset.js'
import type { Dataset } from '../../../src/data/dataset.js'
import type { TokenFields } from '../../../src/data/packing/segments.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../../../src/data/preprocessor.js'
import { concatenateAndSplitToFixedLength } from '../../../src/data/preprocessors/concatenate-and-split.js'
import { denoise } from '../../../src/data/preprocessors/denoise.js'
import * as masks from '../../../src/data/preprocessors/noise/masks.js'
import type { NoiseMask } from '../../../src/data/preprocessors/noise/masks.js'
import * as noiseFunctions from '../../../src/data/preprocessors/noise/noise-functions.js'
import type { NoiseFunction } from '../../../src/data/preprocessors/noise/noise-functions.js'
import { randomSpansHelper } from '../../../src/data/preprocessors/noise/random-spans-helper.js'
import { randomSpansNoiseMask } from '../../../src/data/preprocessors/noise/random-spans.js'
import {
  fullLm,
  iidDenoising,
  prefixLm,
  targetsForPrefixLmObjective,
} from '../../../src/data/preprocessors/objectives.js'
import { packPrefixLmDecoderOnly, packPrefixLmEncoderDecoder } from '../../../src/data/preprocessors/pack-prefix-lm.js'
import { reduceConcatTokens } from '../../../src/data/preprocessors/reduce-concat-tokens.js'
import { selectRandomChunk } from '../../../src/data/preprocessors/select-random-chunk.js'
import { spanCorruption } from '../../../src/data/preprocessors/span-corruption.js'
import {
  splitTokens,
  splitTokensToInputsLength,
  splitTokensToRandomLength,
  splitTokensToTargetsLength,
} from '../../../src/data/preprocessors/split-tokens.js'
import { chain } from '../../../src/data/preprocessors/token-fields.js'
import { trimTokensAtFront } from '../../../src/data/preprocessors/trim-tokens-at-front.js'
import { triviaQaTruncateInputs } from '../../../src/data/preprocessors/trivia-qa-truncate-inputs.js'
import { MapSeedCounter, ExampleSeeds } from '../../../src/data/random/seed-counter.js'
import { integersOf } from '../../../src/data/random/seed.js'
import { splitSeed } from '../../../src/data/random/stateless.js'
import { mapWithSeeds } from '../../../src/data/stages/map-with-seeds.js'
import { allOf, seqioCases, toLists, tokenExamples } from './cases.js'
import type { Lists } from './cases.js'
import { camelCase, vocabularyOfSize } from './t5-cases.js'

interface Case {
  initial_seed?: number
  docs?: number[][]
  examples?: Lists[]
  extra?: number[][]
  keep?: number[][]
  sequence_length?: { [feature: string]: number }
  length?: number
  inputs_length?: number
  vocab_size?: number
  inputs_add_eos?: boolean
  targets_add_eos?: boolean
  args?: { [option: string]: unknown }
  batch_size?: number
  noise_density?: number
  loss_on_targets_only?: boolean
  noise_mask_fn?: string
  inputs_fn?: string
  targets_fn?: string | null
  max_length?: number
  max_tokens_per_segment?: number
  output?: Lists[]
  next_map_seed?: number
  error?: string
  // Of span_corruption
  tokens_length?: number
  targets_length?: number
  segment_lengths?: number[]
  masks?: string[]
  targets_seeds?: string[][]
  // Of span_corruption_long
  doc?: { length: number; multiplier: number }
  num_examples?: number
  inputs_lengths?: number[]
  sha256_inputs?: string
  sha256_targets?: string
  first?: Lists
  last?: Lists
}

const options = (args: Case['args']): { [option: string]: never } =>
  Object.fromEntries(Object.entries(args ?? {}).map(([name, value]) => [camelCase(name), value as never]))

/** The examples that a case begins with. */
const sourceOf = (c: Case): Dataset<Fields> =>
  tokenExamples(
    c.examples ??
      c.docs?.map((targets, i) => ({
        targets,
        ...(c.extra && { extra: c.extra[i] }),
        ...(c.keep && { keep: c.keep[i] }),
      })) ??
      [],
  )

function contextOf(c: Case, seeds = new MapSeedCounter(c.initial_seed ?? 0)): PreprocessorContext {
  const vocabulary = vocabularyOfSize(c.vocab_size ?? 32100)
  const length = c.length === undefined ? undefined : { inputs: c.length, targets: c.length }
  const inputs = c.inputs_length === undefined ? undefined : { inputs: c.inputs_length }
  return {
    seeds,
    lengths: c.sequence_length ?? (c.args?.sequence_length as Case['sequence_length']) ?? length ?? inputs ?? null,
    features: {
      inputs: { vocabulary, addEos: c.inputs_add_eos ?? true },
      targets: { vocabulary, addEos: c.targets_add_eos ?? true },
    },
  }
}

const noiseMasks: { [name: string]: NoiseMask | undefined } = { ...masks, randomSpansNoiseMask }
const noise: { [name: string]: NoiseFunction | undefined } = { ...noiseFunctions }

/** The preprocessor of each kind of case, from the case's arguments. */
const preprocessors: { [name: string]: (c: Case) => Preprocessor } = {
  span_corruption: c => spanCorruption(options(c.args)),
  span_corruption_error: c => spanCorruption(options(c.args)),
  span_corruption_long: () => spanCorruption(),
  iid_denoising: iidDenoising,
  prefix_lm: c => prefixLm({ noiseDensity: c.noise_density }),
  full_lm: fullLm,
  concatenate_and_split_to_fixed_length: () => concatenateAndSplitToFixedLength(),
  reduce_concat_tokens: c => reduceConcatTokens({ batchSize: c.batch_size }),
  select_random_chunk: c => selectRandomChunk(options(c.args)),
  split_tokens: c => splitTokens({ ...options(c.args), maxTokensPerSegment: options(c.args).maxTokensPerSegment }),
  split_tokens_to_inputs_length: () => splitTokensToInputsLength(),
  split_tokens_to_targets_length: () => splitTokensToTargetsLength(),
  split_tokens_to_random_length: () => splitTokensToRandomLength(),
  targets_for_prefix_lm_objective: targetsForPrefixLmObjective,
  pack_prefix_lm_encoder_decoder: () => packPrefixLmEncoderDecoder(),
  pack_prefix_lm_decoder_only: c => packPrefixLmDecoderOnly({ lossOnTargetsOnly: c.loss_on_targets_only }),
  additional_and_passthrough: c => {
    const keys = { additionalFeatureKeys: ['extra'], passthroughFeatureKeys: ['keep'] }
    return chain('additionalAndPassthrough', [
      selectRandomChunk({ maxLength: c.max_length, ...keys }),
      splitTokens({ maxTokensPerSegment: c.max_tokens_per_segment!, ...keys }),
    ])
  },
  denoise: c =>
    denoise({
      noiseDensity: c.noise_density!,
      noiseMaskFn: noiseMasks[camelCase(c.noise_mask_fn!)]!,
      inputsFn: noise[camelCase(c.inputs_fn!)]!,
      targetsFn: c.targets_fn ? noise[camelCase(c.targets_fn)] : undefined,
    }),
  trivia_qa_truncate_inputs: triviaQaTruncateInputs,
  trim_tokens_at_front: () => trimTokensAtFront(),
}

const cases = seqioCases<{ [name: string]: Case[] }>('t5_datasets.json')
const lists = (dataset: Dataset<Fields>): Lists[] => allOf(dataset).map(example => toLists(example as TokenFields))

describe.each(Object.entries(cases).filter(([name]) => name !== 'span_corruption_long'))('%s', (name, some) => {
  it.each(some.map((c, i) => [i, c] as const))('case %i', (_, c) => {
    const counter = new MapSeedCounter(c.initial_seed ?? 0)
    const run = () => preprocessors[name](c).apply(sourceOf(c), contextOf(c, counter))
    if (c.error !== undefined) {
      expect(run).toThrow(ConfigError)
      return
    }
    const result = run()
    expect(lists(result)).toEqual(c.output)
    if (c.next_map_seed !== undefined) expect(counter.next).toBe(c.next_map_seed)
    // The same examples by random access, from the last to the first.
    const backwards = preprocessors[name](c).apply(sourceOf(c), contextOf(c))
    c.output!.forEach((_, i) => {
      const index = c.output!.length - 1 - i
      expect(toLists(backwards.get(index) as TokenFields)).toEqual(c.output![index])
    })
  })
})

it.each((cases.span_corruption ?? []).map((c, i) => [i, c] as const))(
  'the stages of span_corruption, case %i',
  (_, c) => {
    const { noiseDensity = 0.15, meanNoiseSpanLength = 3, reservedForPacking = 0, ...rest } = options(c.args)
    const sizes = randomSpansHelper({
      inputsLength: c.sequence_length!.inputs - reservedForPacking,
      noiseDensity,
      meanNoiseSpanLength,
    })
    expect(sizes).toEqual({ tokensLength: c.tokens_length, targetsLength: c.targets_length })
    const context = contextOf(c)
    const segments = chain('segments', [
      selectRandomChunk({ maxLength: 65536 }),
      ...(rest.mergeExamplesToReducePadding === false ? [] : [reduceConcatTokens()]),
      splitTokens({ maxTokensPerSegment: sizes.tokensLength }),
    ]).apply(sourceOf(c), context)
    const lengths = lists(segments).map(({ targets }) => targets.length)
    expect(lengths).toEqual(c.segment_lengths)
    const seeds = new ExampleSeeds(context.seeds, 1)
    const drawn = lengths.map((length, i) => {
      const six = splitSeed(seeds.get(i), 6)
      return { six, mask: randomSpansNoiseMask(length, noiseDensity, six, { meanNoiseSpanLength }) }
    })
    expect(drawn.map(({ mask }) => mask.join(''))).toEqual(c.masks)
    const targetsSeeds = drawn.map(({ six }) => six.slice(4).flatMap(seed => integersOf(seed).map(String)))
    expect(targetsSeeds.slice(0, c.targets_seeds!.length)).toEqual(c.targets_seeds)
  },
)

it.each((cases.span_corruption_long ?? []).map((c, i) => [i, c] as const))(
  'span_corruption of a long document, case %i',
  (_, c) => {
    const { length, multiplier } = c.doc!
    const document = { targets: Int32Array.from({ length }, (_, i) => 3 + ((i * multiplier) % 31000)) }
    const result = spanCorruption().apply(datasetOf([document]), contextOf(c))
    const examples = allOf(result) as TokenFields[]
    expect(examples.length).toBe(c.num_examples)
    const inputs = examples.map(example => example.inputs.length)
    expect([Math.min(...inputs), Math.max(...inputs)]).toEqual(c.inputs_lengths)
    expect(hash(examples.map(example => example.inputs))).toBe(c.sha256_inputs)
    expect(hash(examples.map(example => example.targets))).toBe(c.sha256_targets)
    expect(toLists(examples[0])).toEqual(c.first)
    expect(toLists(examples.at(-1)!)).toEqual(c.last)
  },
)

/** SHA-256 of the int32 values of all rows, one after another. */
function hash(rows: readonly Int32Array[]): string {
  const sum = createHash('sha256')
  for (const row of rows) sum.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength))
  return sum.digest('hex')
}

it('mapWithSeeds gives each example all its seeds', () => {
  const examples = mapWithSeeds(datasetOf([0, 1]), new MapSeedCounter(7), 2, (example, seeds) => ({ example, seeds }))
  const first = new ExampleSeeds(new MapSeedCounter(7), 2)
  expect(examples.get(1)).toEqual({ example: 1, seeds: first.all(1) })
})

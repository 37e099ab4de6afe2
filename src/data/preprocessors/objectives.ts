/** T5's other pretraining objectives, each a chain of preprocessors. */
import type { Preprocessor } from '../preprocessor.js'
import { denoise } from './denoise.js'
import { iidNoiseMask, randomPrefixNoiseMask } from './noise/masks.js'
import {
  dropNoiseTokens,
  dropNonnoiseTokens,
  noiseSpanToUniqueSentinel,
  nonnoiseSpanToUniqueSentinel,
} from './noise/noise-functions.js'
import { reduceConcatTokens } from './reduce-concat-tokens.js'
import { selectRandomChunk } from './select-random-chunk.js'
import { appendEos } from './seqio/eos.js'
import { trimAndPadDataset } from './seqio/trim.js'
import { MAX_DOCUMENT_TOKENS } from './span-corruption.js'
import { splitTokens, splitTokensToInputsLength } from './split-tokens.js'
import { chain, requireSentinels, rowLength } from './token-fields.js'

/** A document, or a random chunk of one that is very long. */
const document = (): Preprocessor => selectRandomChunk({ maxLength: MAX_DOCUMENT_TOKENS })

/**
 * T5's `iid_denoising`, its baseline objective: each token is noise with a probability of 0.15, and each run of noise
 * becomes one sentinel.
 */
export const iidDenoising = (): Preprocessor => {
  const name = 'iidDenoising'
  const stages = chain(name, [
    document(),
    reduceConcatTokens(),
    splitTokensToInputsLength(),
    denoise({
      noiseDensity: 0.15,
      noiseMaskFn: iidNoiseMask,
      inputsFn: noiseSpanToUniqueSentinel,
      targetsFn: nonnoiseSpanToUniqueSentinel,
    }),
  ])
  return {
    name,
    apply: (dataset, context) => {
      requireSentinels(context, name)
      return stages.apply(dataset, context)
    },
  }
}

/**
 * T5's `prefix_lm`: a random first part of each segment is the inputs, the rest the targets. Documents are not
 * concatenated. A segment of one token has no inputs.
 */
export const prefixLm = ({ noiseDensity = 0.5 }: { readonly noiseDensity?: number } = {}): Preprocessor =>
  chain('prefixLm', [
    document(),
    splitTokensToInputsLength(),
    denoise({
      noiseDensity,
      noiseMaskFn: randomPrefixNoiseMask,
      inputsFn: dropNonnoiseTokens,
      targetsFn: dropNoiseTokens,
    }),
  ])

/**
 * T5's `full_lm`: EOS is appended to each document if the targets end with one, then 128 documents at a time are
 * concatenated and cut to the targets' length. No EOS is to be appended later.
 */
export const fullLm = (): Preprocessor => chain('fullLm', languageModelTargets('fullLm'))

/** T5's `targets_for_prefix_lm_objective`: `fullLm`, with the targets padded to their length. */
export const targetsForPrefixLmObjective = (): Preprocessor => {
  const name = 'targetsForPrefixLmObjective'
  return chain(name, [
    ...languageModelTargets(name),
    {
      name,
      apply: (dataset, context) =>
        trimAndPadDataset({ targets: rowLength(context, 'targets', name) }).apply(dataset, context),
    },
  ])
}

const languageModelTargets = (name: string): Preprocessor[] => [
  document(),
  appendEos(),
  reduceConcatTokens(),
  {
    name,
    apply: (dataset, context) =>
      splitTokens({ maxTokensPerSegment: rowLength(context, 'targets', name) }).apply(dataset, context),
  },
]

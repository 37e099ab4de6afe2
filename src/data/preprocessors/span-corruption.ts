import { ConfigError } from '../../base/errors.js'
import type { Preprocessor } from '../preprocessor.js'
import { denoise } from './denoise.js'
import { noiseSpanToUniqueSentinel, nonnoiseSpanToUniqueSentinel } from './noise/noise-functions.js'
import { randomSpansHelper } from './noise/random-spans-helper.js'
import type { RandomSpans } from './noise/random-spans-helper.js'
import { randomSpansNoiseMask } from './noise/random-spans.js'
import { reduceConcatTokens } from './reduce-concat-tokens.js'
import { selectRandomChunk } from './select-random-chunk.js'
import { splitTokens } from './split-tokens.js'
import { chain, requireSentinels, rowLength } from './token-fields.js'

/** The longest stretch of a document that one epoch uses, in tokens: T5's value. */
export const MAX_DOCUMENT_TOKENS = 65536

export interface SpanCorruptionOptions extends Partial<RandomSpans> {
  /** The name of the inputs. Default: inputs. */
  readonly inputFeatureKey?: string
  /** Whether 128 documents at a time are concatenated before they are cut. Default: true. */
  readonly mergeExamplesToReducePadding?: boolean
  /** How many tokens of the inputs are left free, for later preprocessors. Default: 0. */
  readonly reservedForPacking?: number
  /** Features that pass unchanged; only without `mergeExamplesToReducePadding`. */
  readonly passthroughFeatureKeys?: readonly string[]
}

/**
 * T5's `span_corruption`, its final pretraining objective: random spans of the targets become one sentinel each in the
 * inputs, and the targets are the spans, each after its sentinel. Documents are cut so that the inputs fill their
 * length with an EOS, which a later preprocessor appends.
 *
 * Throws a ConfigError if the targets are too short for the noise.
 */
export function spanCorruption(options: SpanCorruptionOptions = {}): Preprocessor {
  const name = 'spanCorruption'
  const { noiseDensity = 0.15, meanNoiseSpanLength = 3, reservedForPacking = 0 } = options
  const { inputFeatureKey = 'inputs', mergeExamplesToReducePadding = true, passthroughFeatureKeys } = options
  if (mergeExamplesToReducePadding && passthroughFeatureKeys?.length)
    throw new ConfigError(
      `${name} cannot pass "${passthroughFeatureKeys[0]}" when it concatenates documents: set mergeExamplesToReducePadding to false`,
    )
  return {
    name,
    apply(dataset, context) {
      requireSentinels(context, name)
      const inputsLength = rowLength(context, inputFeatureKey, name)
      if (inputsLength - reservedForPacking < 2)
        throw new ConfigError(
          `${name} needs inputs of 2 or more tokens that are not reserved, for text and EOS, not ${inputsLength - reservedForPacking}`,
        )
      const { tokensLength, targetsLength } = randomSpansHelper({
        inputsLength: inputsLength - reservedForPacking,
        noiseDensity,
        meanNoiseSpanLength,
      })
      const given = rowLength(context, 'targets', name)
      if (given < targetsLength)
        throw new ConfigError(
          `${name} needs targets of ${targetsLength} tokens for inputs of ${inputsLength}, but their length is ${given}: raise it, or lower the length of the inputs or the noise density`,
        )
      return chain(name, [
        selectRandomChunk({ maxLength: MAX_DOCUMENT_TOKENS, passthroughFeatureKeys }),
        ...(mergeExamplesToReducePadding ? [reduceConcatTokens()] : []),
        splitTokens({ maxTokensPerSegment: tokensLength, passthroughFeatureKeys }),
        denoise({
          noiseDensity,
          noiseMaskFn: (length, density, seeds) =>
            randomSpansNoiseMask(length, density, seeds, { meanNoiseSpanLength }),
          inputsFn: noiseSpanToUniqueSentinel,
          targetsFn: nonnoiseSpanToUniqueSentinel,
          inputFeatureKey,
          passthroughFeatureKeys,
        }),
      ]).apply(dataset, context)
    },
  }
}

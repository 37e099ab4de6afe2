/** T5's packed prefix language models: examples of exactly one row's length become a model's features. */
import { check, ConfigError } from '../../base/errors.js'
import { PAD_ID } from '../../text/vocabulary.js'
import { shiftRight } from '../converters/autoregressive.js'
import type { Dataset } from '../dataset.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../preprocessor.js'
import { randomInt32 } from '../random/stateless.js'
import { mapWithSeeds } from '../stages/map-with-seeds.js'
import { tokensOf } from './token-fields.js'

/**
 * T5's `pack_prefix_lm_encoder_decoder`: two examples share a row. With a random p below the row's length, the encoder
 * has the first p tokens of the first and the first length - p of the second; the decoder has the rest of both. A last
 * example without a partner is dropped.
 */
export function packPrefixLmEncoderDecoder({ padId = PAD_ID }: { readonly padId?: number } = {}): Preprocessor {
  const name = 'packPrefixLmEncoderDecoder'
  return {
    name,
    apply(dataset, context) {
      const length = packedLength(context, name)
      const pairs: Dataset<readonly [Fields, Fields]> = {
        get length() {
          return Math.floor(dataset.length / 2)
        },
        get: index => [dataset.get(2 * index), dataset.get(2 * index + 1)],
      }
      return mapWithSeeds(pairs, context.seeds, 1, ([first, second], [seed]) => {
        const split = randomInt32(seed, 1, length)
        const rest = length - split
        const [a, b] = [fullRow(first, length, name), fullRow(second, length, name)]
        const targets = joined(a.subarray(split), b.subarray(rest))
        const decoderSegments = segments(rest, length)
        return {
          encoder_input_tokens: joined(a.subarray(0, split), b.subarray(0, rest)),
          decoder_target_tokens: targets,
          decoder_input_tokens: shiftRight(targets, decoderSegments),
          encoder_segment_ids: segments(split, length),
          encoder_positions: positions(split, length),
          decoder_segment_ids: decoderSegments,
          decoder_positions: positions(rest, length),
          decoder_loss_weights: targets.map(token => (token === padId ? 0 : 1)),
        }
      })
    },
  }
}

export interface PackPrefixLmDecoderOnlyOptions {
  /** Whether the prefix has no weight in the loss. Default: true. */
  readonly lossOnTargetsOnly?: boolean
  readonly padId?: number
}

/**
 * T5's `pack_prefix_lm_decoder_only`: a random number p of first tokens, from 1 to length - 1, is a prefix, which the
 * decoder sees as a whole. As in T5, `decoder_causal_attention` is 1 for p + 1 tokens.
 */
export function packPrefixLmDecoderOnly({
  lossOnTargetsOnly = true,
  padId = PAD_ID,
}: PackPrefixLmDecoderOnlyOptions = {}): Preprocessor {
  const name = 'packPrefixLmDecoderOnly'
  return {
    name,
    apply(dataset, context) {
      const length = packedLength(context, name)
      return mapWithSeeds(dataset, context.seeds, 1, (example, [seed]) => {
        const prefix = randomInt32(seed, 1, length)
        const targets = fullRow(example, length, name)
        return {
          decoder_target_tokens: targets,
          decoder_input_tokens: shiftRight(targets),
          decoder_loss_weights: targets.map((token, i) =>
            token !== padId && (i >= prefix || !lossOnTargetsOnly) ? 1 : 0,
          ),
          decoder_causal_attention: targets.map((_, i) => (i <= prefix ? 1 : 0)),
        }
      })
    },
  }
}

/** The length of a row. All features must have the same, an even one. */
function packedLength({ lengths }: PreprocessorContext, name: string): number {
  const all = Object.values(lengths ?? {})
  if (all.length === 0) throw new ConfigError(`${name} needs the length of a row: give the task's lengths`)
  if (all.some(length => length !== all[0] || length % 2 !== 0 || length < 2))
    throw new ConfigError(`${name} needs one even length for all features, not ${all.join(', ')}`)
  return all[0]
}

function fullRow(example: Fields, length: number, name: string): Int32Array {
  const tokens = tokensOf(example, 'targets', name)
  check(
    tokens.length === length,
    () =>
      `${name} needs targets of exactly ${length} tokens, not ${tokens.length}: put targetsForPrefixLmObjective before it`,
  )
  return tokens
}

function joined(first: Int32Array, second: Int32Array): Int32Array {
  const result = new Int32Array(first.length + second.length)
  result.set(first)
  result.set(second, first.length)
  return result
}

/** The segment of each place of a row whose first segment has `first` tokens: 1 or 2. */
const segments = (first: number, length: number): Int32Array => new Int32Array(length).fill(1, 0, first).fill(2, first)

/** The position of each place of a row in its segment. */
const positions = (first: number, length: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => (i < first ? i : i - first))

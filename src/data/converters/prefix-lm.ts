import type { FeatureLengths, TokenFields } from '../packing/segments.js'
import { defineConverter } from './converter.js'
import type { ConverterOptions, FeatureConverter } from './converter.js'
import { decoderFeatures } from './stacks.js'

export interface PrefixLmOptions extends ConverterOptions {
  /** Whether only the targets are learned; if not, the inputs are learned too. Default: true. */
  readonly lossOnTargetsOnly?: boolean
}

/**
 * SeqIO's `PrefixLMFeatureConverter`, for decoder-only models that see their whole input: a row is `inputs` followed by
 * `targets`, and `decoder_causal_attention` is 1 where a token may be attended to by every token of its segment. That
 * is one more than the inputs, since the decoder's inputs are shifted right.
 *
 * As in SeqIO, the widths of the inputs are packed as features of their own. A 0 among the tokens makes its segment
 * shorter than its widths, and misaligns the widths of the row's later segments.
 */
export const prefixLmConverter = (options: PrefixLmOptions = {}): FeatureConverter =>
  defineConverter(
    {
      name: 'PrefixLM',
      taskFeatures: ['inputs', 'targets'],
      join: { example: ({ inputs, targets }) => joined(inputs, targets), lengths: joinedLengths },
      model: row => prefixFeatures(row, options),
    },
    options,
  )

/** The features of an example that are packed: its tokens, and beside each of them the width of its inputs. */
export function joined(inputs: Int32Array, rest: Int32Array): TokenFields {
  const width = inputs.length
  // A segment of inputs only ends with one padding token.
  const targets = new Int32Array(width + Math.max(rest.length, 1))
  targets.set(inputs)
  targets.set(rest, width)
  return {
    targets,
    // -1 means 0, which packing would take for padding.
    inputs_width: new Int32Array(targets.length).fill(width === 0 ? -1 : width),
    inputs_width_add_pos: new Int32Array(targets.length).fill(width + 1),
  }
}

export function joinedLengths(lengths: FeatureLengths): FeatureLengths {
  const total = Object.values(lengths).reduce((sum, length) => sum + length, 0)
  return { targets: total, inputs_width: total, inputs_width_add_pos: total }
}

/** The model's features of a packed or padded row of joined features. */
export function prefixFeatures(row: TokenFields, { bosId, lossOnTargetsOnly = true }: PrefixLmOptions): TokenFields {
  const features = decoderFeatures(row, bosId)
  const { inputs_width: width, inputs_width_add_pos: widthAndOne } = row
  // A row that is not packed is one segment.
  const positions = (row as Partial<TokenFields>).targets_positions
  const attention = new Int32Array(widthAndOne.length)
  const weights = features.decoder_loss_weights.slice()
  for (let i = 0; i < attention.length; i++) {
    const position = positions === undefined ? i : positions[i]
    if (position < widthAndOne[i]) attention[i] = 1
    // SeqIO's exclusive or: a padding token among the inputs has weight 1.
    if (lossOnTargetsOnly && position < width[i]) weights[i] = 1 - weights[i]
  }
  return { ...features, decoder_loss_weights: weights, decoder_causal_attention: attention }
}

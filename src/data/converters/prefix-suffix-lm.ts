import { defineConverter } from './converter.js'
import type { ConverterOptions, FeatureConverter } from './converter.js'
import { joined, joinedLengths, prefixFeatures } from './prefix-lm.js'

/** Marks a token before the suffix, and a token of the suffix, in the packed feature `target_suffix_weights`. */
const BEFORE = 1
const SUFFIX = 2

/**
 * SeqIO's `PrefixSuffixLMFeatureConverter`: a prefix language model whose targets are followed by `suffixes`.
 * `target_suffix_weights` is 1 for the tokens of the suffix. Only targets and suffixes are learned: SeqIO's converter
 * ignores its argument `loss_on_targets_only`.
 *
 * As in SeqIO, the targets of an example without a suffix count as its suffix.
 */
export const prefixSuffixLmConverter = (options: ConverterOptions = {}): FeatureConverter =>
  defineConverter(
    {
      name: 'PrefixSuffixLM',
      taskFeatures: ['inputs', 'targets', 'suffixes'],
      join: {
        example: ({ inputs, targets, suffixes }) => {
          const features = joined(inputs, concatenate(targets, suffixes))
          const before = inputs.length + (suffixes.length > 0 ? targets.length : 0)
          const weights = new Int32Array(features.targets.length).fill(SUFFIX).fill(BEFORE, 0, before)
          return { ...features, target_suffix_weights: weights }
        },
        lengths: lengths => {
          const joint = joinedLengths(lengths)
          return { ...joint, target_suffix_weights: joint.targets }
        },
      },
      model: row => ({
        ...prefixFeatures(row, { bosId: options.bosId }),
        target_suffix_weights: row.target_suffix_weights.map(mark => (mark === SUFFIX ? 1 : 0)),
      }),
    },
    options,
  )

function concatenate(first: Int32Array, second: Int32Array): Int32Array {
  const both = new Int32Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

import type { Preprocessor } from '../preprocessor.js'
import { greatestCommonDivisor } from './reduce-concat-tokens.js'
import { roomOf } from './token-fields.js'
import { TokenStream } from './token-stream.js'

/**
 * T5's `concatenate_and_split_to_fixed_length`: all documents one after the other, cut to pieces as long as the
 * feature, less 1 if it ends with EOS. The last piece may be shorter. Zeros stay; other features are dropped.
 */
export function concatenateAndSplitToFixedLength({
  featureKey = 'targets',
}: { readonly featureKey?: string } = {}): Preprocessor {
  const name = 'concatenateAndSplitToFixedLength'
  return {
    name,
    apply(dataset, context) {
      const piece = roomOf(context, featureKey, name)
      const tokens = new TokenStream(dataset, { featureKey, stage: name })
      return {
        get length() {
          return Math.ceil(tokens.length / piece)
        },
        get period() {
          const { period } = tokens
          return period === undefined ? undefined : period / greatestCommonDivisor(period, piece)
        },
        get: index => {
          const from = index * piece
          return { [featureKey]: tokens.slice(from, Math.min(from + piece, tokens.length)) }
        },
      }
    },
  }
}

import { mapDataset } from '../dataset.js'
import type { FieldValue, Preprocessor } from '../preprocessor.js'
import { rowLength, tokensOf } from './token-fields.js'

/**
 * T5's `trim_tokens_at_front`: features keep their last tokens, one fewer than their length, so that EOS has room. As
 * in T5 a feature of length 1 is not trimmed. Default: all features that have a length.
 */
export function trimTokensAtFront({ keysToTrim }: { readonly keysToTrim?: readonly string[] } = {}): Preprocessor {
  const name = 'trimTokensAtFront'
  return {
    name,
    apply(dataset, context) {
      const lengths = context.lengths ?? {}
      return mapDataset(dataset, example => {
        const trimmed: { [key: string]: FieldValue } = { ...example }
        for (const key of keysToTrim ?? Object.keys(lengths))
          // Negative zero, as in Python, is the beginning: a slice from there is the whole array.
          if (key in example) trimmed[key] = tokensOf(example, key, name).subarray(-(rowLength(context, key, name) - 1))
        return trimmed
      })
    },
  }
}

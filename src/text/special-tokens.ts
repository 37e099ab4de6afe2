import type { Vocabulary } from './vocabulary.js'

/** The ids of a whole sequence: with the special tokens that its vocabulary puts around a text, else EOS at the end. */
export const withSpecialTokens = (vocabulary: Vocabulary, ids: readonly number[]): number[] =>
  vocabulary.withSpecialTokens?.(ids) ?? [...ids, vocabulary.eosId]

/** The ids of a model's input. */
export const inputIds = (vocabulary: Vocabulary, text: string): number[] =>
  withSpecialTokens(vocabulary, vocabulary.encode(text))

/**
 * The ids of a target or an answer. They are those of an input, but always end with EOS: by it a model learns where an
 * answer ends.
 */
export function targetIds(vocabulary: Vocabulary, text: string): number[] {
  const ids = inputIds(vocabulary, text)
  return ids.at(-1) === vocabulary.eosId ? ids : [...ids, vocabulary.eosId]
}

import type { Vocabulary } from '../text/vocabulary.js'

/**
 * The vocabulary by which a model's answers are decoded. In a model that does not end with the vocabulary's EOS, that
 * token is left out of the text, as other special tokens are, and does not end it.
 */
export function answerVocabulary(vocabulary: Vocabulary, eosIds: readonly number[]): Vocabulary {
  const { eosId } = vocabulary
  if (eosIds.includes(eosId)) return vocabulary
  return {
    size: vocabulary.size,
    padId: vocabulary.padId,
    eosId,
    unkId: vocabulary.unkId,
    sentinelIds: vocabulary.sentinelIds,
    encode: text => vocabulary.encode(text),
    ...(vocabulary.withSpecialTokens && {
      withSpecialTokens: (ids: readonly number[]) => vocabulary.withSpecialTokens!(ids),
    }),
    decode: ids => vocabulary.decode([...ids].filter(id => id !== eosId)),
    stream: () => {
      const stream = vocabulary.stream()
      return { push: id => (id === eosId ? '' : stream.push(id)), end: () => stream.end() }
    },
    toJSON: () => vocabulary.toJSON(),
  }
}

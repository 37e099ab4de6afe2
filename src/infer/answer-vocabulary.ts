import { eosOf } from '../base/special-ids.js'
import { decodeAll } from '../text/stream.js'
import type { TextStream, Vocabulary } from '../text/vocabulary.js'

/**
 * The vocabulary of a model's answers. In a model that does not end with the vocabulary's EOS, any EOS of the model
 * ends a text and is left out of it. The vocabulary's EOS is left out, too, as other special tokens are.
 */
export function answerVocabulary(vocabulary: Vocabulary, eosIds: readonly number[]): Vocabulary {
  if (eosIds.includes(vocabulary.eosId)) return vocabulary
  const stream = (): TextStream => {
    const pieces = vocabulary.stream()
    const push = (id: number): string => {
      if (eosIds.includes(id)) return pieces.end()
      return id === vocabulary.eosId ? '' : pieces.push(id)
    }
    return { push, end: () => pieces.end() }
  }
  return {
    size: vocabulary.size,
    padId: vocabulary.padId,
    eosId: eosOf(vocabulary.eosId, eosIds),
    unkId: vocabulary.unkId,
    sentinelIds: vocabulary.sentinelIds,
    encode: text => vocabulary.encode(text),
    ...(vocabulary.withSpecialTokens && {
      withSpecialTokens: (ids: readonly number[]) => vocabulary.withSpecialTokens!(ids),
    }),
    decode: ids => decodeAll(stream(), ids),
    stream,
    bytesOf: id => vocabulary.bytesOf?.(id),
    toJSON: () => vocabulary.toJSON(),
  }
}

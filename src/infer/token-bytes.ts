import type { Vocabulary } from '../text/vocabulary.js'
import { TokenTexts } from './token-texts.js'

/** The UTF-8 that each token adds to an answer; null: a part of a character that the vocabulary does not tell. */
export interface TokenBytes {
  /** As the first token of an answer. */
  readonly first: readonly (Uint8Array | null)[]
  /** After other tokens. */
  readonly later: readonly (Uint8Array | null)[]
}

/** The bytes of vocabularies' tokens. Decoding all tokens of T5's takes about 100 ms, too long for every request. */
const known = new WeakMap<Vocabulary, TokenBytes>()

/** The bytes of a vocabulary's tokens. Padding and EOS have none; other special tokens have those of their texts. */
export function tokenBytes(vocabulary: Vocabulary): TokenBytes {
  let bytes = known.get(vocabulary)
  if (bytes === undefined) known.set(vocabulary, (bytes = decodeAll(vocabulary)))
  return bytes
}

function decodeAll(vocabulary: Vocabulary): TokenBytes {
  const texts = new TokenTexts(vocabulary)
  const encoder = new TextEncoder()
  const isEmpty = new Set([vocabulary.padId, vocabulary.eosId])
  const bytesOf = (id: number, isFirst: boolean): Uint8Array | null => {
    if (isEmpty.has(id)) return new Uint8Array()
    const part = texts.partOf(id, isFirst)
    if (part) return part
    const text = texts.of(id, isFirst)
    const isDropped = text === '' && texts.of(id, false) === ' '
    return (text === '' && !isDropped) || text.includes('\ufffd') ? null : encoder.encode(text)
  }
  const all = (isFirst: boolean): (Uint8Array | null)[] =>
    Array.from({ length: vocabulary.size }, (_, id) => bytesOf(id, isFirst))
  return { first: all(true), later: all(false) }
}

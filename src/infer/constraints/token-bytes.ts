import type { Vocabulary } from '../../text/vocabulary.js'
import { TokenTexts } from '../token-texts.js'

/** The UTF-8 that each token adds to an answer; null for tokens that are no text, such as EOS. */
export interface TokenBytes {
  /** As the first token of an answer. */
  readonly first: readonly (Uint8Array | null)[]
  /** After other tokens. */
  readonly later: readonly (Uint8Array | null)[]
}

const encoder = new TextEncoder()
const isPart = (text: string): boolean => text === '' || text.includes('\ufffd')

/** The bytes of a vocabulary's tokens. */
export function tokenBytes(vocabulary: Vocabulary): TokenBytes {
  const texts = new TokenTexts(vocabulary)
  const { size, padId, eosId, unkId, sentinelIds } = vocabulary
  const special = new Set([padId, eosId, unkId, ...sentinelIds])
  const isText = Array.from({ length: size }, (_, id) => !special.has(id))
  const hasParts = isText.some((is, id) => is && isPart(texts.of(id, false)))
  const parts = hasParts ? partsOfCharacters(vocabulary) : new Map<number, number>()
  const bytesOf = (isFirst: boolean): (Uint8Array | null)[] =>
    isText.map((is, id) => {
      const part = parts.get(id)
      if (!is || part !== undefined) return is && part !== undefined ? Uint8Array.of(part) : null
      const text = texts.of(id, isFirst)
      // A first token that is a space is dropped by decoding. In many texts it is what the first word begins with.
      if (isFirst && text === '' && texts.of(id, false) === ' ') return new Uint8Array()
      return isPart(text) ? null : encoder.encode(text)
    })
  return { first: bytesOf(true), later: bytesOf(false) }
}

/**
 * The byte of each token that is one byte of characters of several bytes. Its text does not tell it, so it is found by
 * encoding characters that have no token of their own.
 */
function partsOfCharacters(vocabulary: Vocabulary): ReadonlyMap<number, number> {
  const parts = new Map<number, number>()
  const known = new Set<number>()
  const { length } = vocabulary.encode('a')
  for (const character of samples()) {
    const bytes = encoder.encode(character)
    if (bytes.every(byte => known.has(byte))) continue
    const ids = vocabulary.encode(`a${character}`).slice(length)
    if (ids.length !== bytes.length || !ids.every(id => id !== vocabulary.unkId && isPart(vocabulary.decode([id]))))
      continue
    ids.forEach((id, i) => {
      parts.set(id, bytes[i])
      known.add(bytes[i])
    })
  }
  return parts
}

/** Characters of two, three and four bytes. Each byte of UTF-8 above 7F is in several of them. */
function* samples(): Generator<string> {
  for (let code = 0x80; code < 0x800; code++) yield String.fromCodePoint(code)
  for (let code = 0x800; code < 0x110000; code += 0x111)
    if (code < 0xd800 || code > 0xdfff) yield String.fromCodePoint(code)
}

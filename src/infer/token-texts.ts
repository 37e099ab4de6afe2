import type { Vocabulary } from '../text/vocabulary.js'
import type { ScoredToken } from './answer-piece.js'

/** A token with its text, and with its bytes if the text cannot tell them: see `ScoredToken`. */
export type TokenText = Pick<ScoredToken, 'id' | 'text' | 'bytes'>

/**
 * The text of single tokens. The texts of an answer's tokens, joined, are the answer, except for characters that are
 * divided into several tokens: each of their bytes is U+FFFD, or nothing in vocabularies that leave wrong bytes out.
 */
export class TokenTexts {
  private readonly inside = new Map<number, string>()
  /** A token that others follow, and the length of its text. */
  private readonly before: readonly number[]
  private readonly known: number

  constructor(private readonly vocabulary: Vocabulary) {
    this.before = vocabulary.encode('a').slice(-1)
    this.known = vocabulary.decode(this.before).length
  }

  /** The text that a token adds. At the beginning, decoding drops a token's space. */
  of(id: number, isFirst: boolean): string {
    if (isFirst) return this.vocabulary.decode([id])
    let text = this.inside.get(id)
    if (text === undefined) {
      text = this.vocabulary.decode([...this.before, id]).slice(this.known)
      this.inside.set(id, text)
    }
    return text
  }

  /** A token with its text; if it is a part of a character, with its bytes. */
  tokenOf(id: number, isFirst: boolean): TokenText {
    const bytes = this.partOf(id, isFirst)
    return { id, text: this.of(id, isFirst), ...(bytes && { bytes: [...bytes] }) }
  }

  /** The UTF-8 of a token that is a part of a character; undefined for other tokens. */
  partOf(id: number, isFirst: boolean): Uint8Array | undefined {
    const text = this.of(id, isFirst)
    if (text !== '' && !text.includes('\uFFFD')) return undefined
    // A first token that is a space is dropped by decoding. In many texts it is what the first word begins with.
    if (isFirst && text === '' && this.of(id, false) === ' ') return undefined
    return this.vocabulary.bytesOf?.(id)
  }

  /** All tokens of a text, with their texts. */
  tokensOf(ids: readonly number[]): TokenText[] {
    return ids.map((id, i) => this.tokenOf(id, i === 0))
  }
}

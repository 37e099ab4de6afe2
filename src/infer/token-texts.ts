import type { Vocabulary } from '../text/vocabulary.js'

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

  /** All tokens of a text, with their texts. */
  tokensOf(ids: readonly number[]): { readonly id: number; readonly text: string }[] {
    return ids.map((id, i) => ({ id, text: this.of(id, i === 0) }))
  }
}

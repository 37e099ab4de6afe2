import * as z from 'zod'
import { escapeRegExp } from '../../base/reg-exp.js'
import { WHITE_SPACE, WORD } from './unicode.js'

export const addedTokenSchema = z.object({
  id: z.int().min(0).max(2_000_000),
  content: z.string().max(1000),
  lstrip: z.boolean().optional(),
  rstrip: z.boolean().optional(),
  single_word: z.boolean().optional(),
  normalized: z.boolean().optional(),
})

/** Added tokens by their ids, as tokenizer_config.json has them in `added_tokens_decoder`. */
export const addedTokensById = z.record(z.string().regex(/^\d{1,7}$/), addedTokenSchema.omit({ id: true }))

/** A token that is cut out of a text before the model of the tokenizer sees the text. */
export type AddedToken = z.infer<typeof addedTokenSchema>

/** A part of a text: an added token's id, or text and where it begins. */
export type Cut = number | { readonly text: string; readonly from: number }

/**
 * Cuts texts at added tokens, as the tokenizers library does: the leftmost, then the longest one. `single_word` tokens
 * are none inside a word; `lstrip` and `rstrip` tokens take the white space on that side with them.
 */
export class AddedTokenCutter {
  private readonly pattern: RegExp | undefined
  /** A text without any of these characters has no added token, which is faster to see. */
  private readonly firsts: RegExp | undefined
  private readonly tokens: ReadonlyMap<string, AddedToken>

  constructor(tokens: readonly AddedToken[]) {
    const contents = tokens.filter(({ content }) => content !== '').sort((a, b) => b.content.length - a.content.length)
    this.tokens = new Map(contents.map(token => [token.content, token]))
    if (contents.length === 0) return
    const patterns = [...this.tokens.keys()].map(text => escapeRegExp(text))
    this.pattern = new RegExp(patterns.join('|'), 'gu')
    const firsts = new Set(contents.map(({ content }) => escapeRegExp(Array.from(content)[0])))
    this.firsts = new RegExp([...firsts].join('|'), 'u')
  }

  cut(text: string): Cut[] {
    if (text === '') return []
    if (!this.pattern || !this.firsts!.test(text)) return [{ text, from: 0 }]
    const cuts: Cut[] = []
    let from = 0
    const textUntil = (end: number): void => {
      if (end > from) cuts.push({ text: text.slice(from, end), from })
    }
    for (const { index, 0: content } of text.matchAll(this.pattern)) {
      const token = this.tokens.get(content)!
      let end = index + content.length
      if (
        token.single_word &&
        (endsInWord.test(text.slice(Math.max(0, index - 2), index)) || startsWithWord.test(text.slice(end, end + 2)))
      )
        continue
      let start = index
      if (token.lstrip) {
        while (start > from && isSpace(text[start - 1])) start--
        start = Math.max(start, from)
      }
      if (token.rstrip) while (end < text.length && isSpace(text[end])) end++
      textUntil(start)
      // White space that the token before took leaves none of a token of spaces.
      if (end > start) cuts.push(token.id)
      from = end
    }
    textUntil(text.length)
    return cuts
  }
}

const endsInWord = new RegExp(`[${WORD}]$`, 'u')
const startsWithWord = new RegExp(`^[${WORD}]`, 'u')
const whiteSpace = new RegExp(`[${WHITE_SPACE}]`, 'u')
const isSpace = (character: string): boolean => whiteSpace.test(character)

import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banning } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { RowStates } from './row-states.js'
import { TextFinder } from './text-finder.js'
import { tokenBytes } from './token-bytes.js'

/**
 * Makes texts impossible, however they are cut into tokens: a token is impossible if the answer with it contains a
 * banned text that ends in the token. Throws a ConfigError for an empty text.
 */
export function banTexts(texts: readonly string[], vocabulary: Vocabulary): ScoreProcessor {
  if (texts.includes('')) throw new ConfigError('a banned text is empty: leave it out')
  const bytes = tokenBytes(vocabulary)
  const finder = new TextFinder(texts)
  const isFirst = (place: number): boolean => place === 1
  const states = new RowStates(0, 1, (state, token, place) => {
    const { [token]: added } = isFirst(place) ? bytes.first : bytes.later
    return added ? finder.after(state, added) : 0
  })
  /** The tokens that complete a text after a state: finding them takes 1 to 2 ms for T5's vocabulary. */
  const completing = (ofTokens: readonly (Uint8Array | null)[]): ((state: number) => readonly number[]) => {
    const known: (readonly number[] | undefined)[] = []
    const find = (state: number): readonly number[] => {
      const ids: number[] = []
      for (let id = 0; id < ofTokens.length; id++) {
        const { [id]: added } = ofTokens
        if (added && finder.finds(state, added)) ids.push(id)
      }
      return ids
    }
    return state => (known[state] ??= find(state))
  }
  const [first, later] = [completing(bytes.first), completing(bytes.later)]
  return banning(tokens => (isFirst(tokens.length) ? first : later)(states.of(tokens)))
}

import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import type { ScoreProcessor } from './processors.js'

/**
 * Makes texts impossible, however they are cut into tokens: a token is impossible if its text contains a banned one, or
 * if it begins with the rest of a banned text whose beginning ends the answer so far. Throws a ConfigError for an empty
 * text.
 */
export function banTexts(texts: readonly string[], vocabulary: Vocabulary): ScoreProcessor {
  if (texts.includes('')) throw new ConfigError('a banned text is empty: leave it out')
  const surfaces = surfacesOf(vocabulary)
  /** For each banned text, the tokens that complete it after its first `taken` characters. */
  const completions = texts.flatMap(text =>
    Array.from({ length: text.length }, (_, taken) => {
      const rest = text.slice(taken)
      const completes = (surface: string): boolean => (taken === 0 ? surface.includes(rest) : surface.startsWith(rest))
      return { begun: text.slice(0, taken), ids: [...surfaces.keys()].filter(id => completes(surfaces[id])) }
    }).filter(({ ids }) => ids.length > 0),
  )
  return (scores, tokens) => {
    const answer = vocabulary.decode(tokens.slice(1))
    for (const { begun, ids } of completions) if (answer.endsWith(begun)) for (const id of ids) scores[id] = -Infinity
  }
}

/** The text that each token adds inside a text: with its space, which decoding drops at the start. */
function surfacesOf(vocabulary: Vocabulary): string[] {
  const before = vocabulary.encode('a').slice(-1)
  const known = vocabulary.decode(before).length
  return Array.from({ length: vocabulary.size }, (_, id) =>
    id === vocabulary.eosId ? '' : vocabulary.decode([...before, id]).slice(known),
  )
}

import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import type { ScoreProcessor } from './processors.js'
import { TokenTexts } from './token-texts.js'

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

/** The surfaces of vocabularies. Decoding all tokens of T5's takes 35 to 190 ms, too long for every request. */
const knownSurfaces = new WeakMap<Vocabulary, readonly string[]>()

function surfacesOf(vocabulary: Vocabulary): readonly string[] {
  const surfaces = knownSurfaces.get(vocabulary) ?? decodeSurfaces(vocabulary)
  knownSurfaces.set(vocabulary, surfaces)
  return surfaces
}

/** The text that each token adds inside a text. */
function decodeSurfaces(vocabulary: Vocabulary): string[] {
  const texts = new TokenTexts(vocabulary)
  return Array.from({ length: vocabulary.size }, (_, id) => (id === vocabulary.eosId ? '' : texts.of(id, false)))
}

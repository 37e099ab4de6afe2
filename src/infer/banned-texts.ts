import { ConfigError } from '../base/errors.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { banning } from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { TokenTexts } from './token-texts.js'

/**
 * Makes texts impossible, however they are cut into tokens: a token is impossible if its text contains a banned one, or
 * if it begins with the rest of a banned text whose beginning ends the answer so far. Throws a ConfigError for an empty
 * text.
 */
export function banTexts(texts: readonly string[], vocabulary: Vocabulary): ScoreProcessor {
  if (texts.includes('')) throw new ConfigError('a banned text is empty: leave it out')
  const { surfaces, byFirst } = surfacesOf(vocabulary)
  /** For each banned text, the tokens that complete it after its first `taken` characters. */
  const completions = texts.flatMap(text =>
    Array.from({ length: text.length }, (_, taken) => {
      const rest = text.slice(taken)
      const ids =
        taken === 0
          ? [...surfaces.keys()].filter(id => surfaces[id].includes(rest))
          : (byFirst.get(rest[0]) ?? []).filter(id => surfaces[id].startsWith(rest))
      return { begun: text.slice(0, taken), ids }
    }).filter(({ ids }) => ids.length > 0),
  )
  const completedByBytes = byteCompletions(texts, vocabulary, surfaces)
  return banning(tokens => {
    const answer = vocabulary.decode(tokens.slice(1))
    return [
      ...completions.flatMap(({ begun, ids }) => (answer.endsWith(begun) ? ids : [])),
      ...completedByBytes(tokens),
    ]
  })
}

/**
 * Finds the tokens that complete a banned text by completing a character whose first bytes the answer ends with. Such a
 * token has no text of its own, so it is decoded together with the tokens before it.
 */
function byteCompletions(
  texts: readonly string[],
  vocabulary: Vocabulary,
  surfaces: readonly string[],
): (tokens: readonly number[]) => readonly number[] {
  const beyondAscii = texts.filter(text => /[^\0-\x7f]/u.test(text)) // oxlint-disable-line no-control-regex
  if (beyondAscii.length === 0) return () => []
  const isPartial = (id: number): boolean => surfaces[id] === '' || surfaces[id]?.includes('\ufffd')
  const partial = [...surfaces.keys()].filter(id => isPartial(id) && id !== vocabulary.eosId)
  /** More tokens than a banned text can have, and those of a character before it. */
  const most = Math.max(...beyondAscii.map(text => new TextEncoder().encode(text).length)) + 4
  return tokens => {
    const last = tokens.slice(1).slice(-most)
    if (last.length === 0 || !isPartial(last[last.length - 1])) return []
    const before = vocabulary.decode(last).replace(/\ufffd+$/u, '').length
    return partial.filter(id => {
      const answer = vocabulary.decode([...last, id])
      return beyondAscii.some(text => answer.includes(text, Math.max(0, before - text.length + 1)))
    })
  }
}

/** The texts of a vocabulary's tokens, and the tokens whose texts begin with a character. */
interface Surfaces {
  readonly surfaces: readonly string[]
  readonly byFirst: ReadonlyMap<string, readonly number[]>
}

/** The surfaces of vocabularies. Decoding all tokens of T5's takes about 100 ms, too long for every request. */
const knownSurfaces = new WeakMap<Vocabulary, Surfaces>()

function surfacesOf(vocabulary: Vocabulary): Surfaces {
  const known = knownSurfaces.get(vocabulary)
  if (known) return known
  const surfaces = decodeSurfaces(vocabulary)
  const byFirst = new Map<string, number[]>()
  surfaces.forEach((surface, id) => {
    const ids = byFirst.get(surface[0])
    if (ids) ids.push(id)
    else byFirst.set(surface[0], [id])
  })
  knownSurfaces.set(vocabulary, { surfaces, byFirst })
  return { surfaces, byFirst }
}

/** The text that each token adds inside a text. */
function decodeSurfaces(vocabulary: Vocabulary): string[] {
  const texts = new TokenTexts(vocabulary)
  return Array.from({ length: vocabulary.size }, (_, id) => (id === vocabulary.eosId ? '' : texts.of(id, false)))
}

import { ConfigError } from '../../base/errors.js'
import { WHITE_SPACE } from './added-tokens.js'
import { patternOf, unsupported } from './steps.js'
import type { Step } from './steps.js'

/** A part of a normalized text. `first`: it begins where the whole text does. */
export interface Part {
  readonly text: string
  readonly first: boolean
}
export type PreTokenize = (parts: readonly Part[]) => Part[]

type Behavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous'
const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']

const punctuation = /[!-/:-@[-`{-~]|\p{P}/gu

/** The pre-tokenizers of a tokenizer.json by their types. */
const preTokenizers: Record<string, (step: Step) => PreTokenize> = {
  Sequence: ({ pretokenizers: steps = [] }) => {
    const all = (steps as (Step | null)[]).map(preTokenizerOf)
    return parts => all.reduce<Part[]>((value, preTokenize) => preTokenize(value), [...parts])
  },
  WhitespaceSplit: () => splitter(new RegExp(WHITE_SPACE, 'gu'), 'Removed'),
  Whitespace: () =>
    splitter(
      /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d\s]+/gu,
      'Removed',
      true,
    ),
  Metaspace: metaspace,
  Punctuation: step => splitter(punctuation, behaviorOf(step, 'Isolated')),
  Digits: step => splitter(/\p{N}/gu, step.individual_digits === true ? 'Isolated' : 'Contiguous'),
  Split: step => splitter(patternOf(step, 'pre-tokenizer'), behaviorOf(step, 'Isolated'), step.invert === true),
  BertPreTokenizer: () => {
    const words = splitter(new RegExp(WHITE_SPACE, 'gu'), 'Removed')
    const marks = splitter(punctuation, 'Isolated')
    return parts => marks(words(parts))
  },
}

/** The function of a tokenizer.json's pre-tokenizer. Throws a ConfigError that names a step that is not supported. */
export function preTokenizerOf(step: Step | null | undefined): PreTokenize {
  if (step === null || step === undefined) return parts => [...parts]
  if (!Object.hasOwn(preTokenizers, step.type)) throw unsupported('pre-tokenizer', step)
  return preTokenizers[step.type](step)
}

/** Writes spaces as the replacement, adds one before the text, and cuts before each. */
function metaspace(step: Step): PreTokenize {
  const { replacement = '\u2581', prepend_scheme: scheme, add_prefix_space: prefix, split = true } = step
  if (typeof replacement !== 'string' || Array.from(replacement).length !== 1)
    throw new ConfigError('the pre-tokenizer "Metaspace" of the tokenizer.json has a replacement that is no character')
  const when = scheme ?? (prefix === false ? 'never' : 'always')
  if (!['always', 'first', 'never'].includes(when as string))
    throw new ConfigError(
      `the pre-tokenizer "Metaspace" of the tokenizer.json has the prepend_scheme ${JSON.stringify(when)}; it must be "always", "first" or "never"`,
    )
  return parts =>
    parts.flatMap(({ text, first }) => {
      let marked = text.replaceAll(' ', replacement)
      const adds = when === 'always' || (when === 'first' && first)
      if (adds && !marked.startsWith(replacement)) marked = replacement + marked
      if (split === false) return [{ text: marked, first }]
      const words: Part[] = []
      for (let from = 0; from < marked.length;) {
        const next = marked.indexOf(replacement, from + 1)
        const end = next < 0 ? marked.length : next
        words.push({ text: marked.slice(from, end), first: first && from === 0 })
        from = end
      }
      return words
    })
}

/** Cuts each part at the matches of a pattern or, inverted, at what lies between them. */
function splitter(pattern: RegExp, behavior: Behavior, invert = false): PreTokenize {
  return parts =>
    parts.flatMap(part => {
      const pieces: { from: number; to: number; match: boolean }[] = []
      let last = 0
      for (const { index, 0: found } of part.text.matchAll(pattern)) {
        if (index > last) pieces.push({ from: last, to: index, match: invert })
        if (found !== '') pieces.push({ from: index, to: index + found.length, match: !invert })
        last = index + found.length
      }
      if (last < part.text.length) pieces.push({ from: last, to: part.text.length, match: invert })
      return merged(pieces, behavior).map(({ from, to }) => ({
        text: part.text.slice(from, to),
        first: part.first && from === 0,
      }))
    })
}

type Piece = { from: number; to: number; match: boolean }
function merged(pieces: readonly Piece[], behavior: Behavior): Piece[] {
  if (behavior === 'Removed') return pieces.filter(({ match }) => !match)
  if (behavior === 'Isolated') return [...pieces]
  const result: Piece[] = []
  for (const piece of pieces) {
    const last = result.at(-1)
    const joins =
      last !== undefined &&
      (behavior === 'Contiguous'
        ? last.match === piece.match
        : behavior === 'MergedWithPrevious'
          ? piece.match && !last.match
          : last.match && !piece.match)
    if (joins) {
      // A match that took its neighbour takes no second one.
      last.to = piece.to
      if (behavior === 'MergedWithPrevious') last.match = true
      else if (behavior === 'MergedWithNext') last.match = false
    } else result.push({ ...piece })
  }
  return result
}

function behaviorOf(step: Step, otherwise: Behavior): Behavior {
  const behavior = step.behavior ?? otherwise
  if (!behaviors.includes(behavior as string))
    throw new ConfigError(
      `the pre-tokenizer ${JSON.stringify(step.type)} of the tokenizer.json has the behavior ${JSON.stringify(behavior)}; it must be one of ${behaviors.join(', ')}`,
    )
  return behavior as Behavior
}

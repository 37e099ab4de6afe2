import { byteLevel, gpt2Words } from './byte-level.js'
import { prepend, slice } from './normalizers.js'
import type { Part } from './normalizers.js'
import { matcher, matcherOf } from './patterns.js'
import type { Matches } from './patterns.js'
import { characterIn, checkGrowth, flatSteps, unsupported, wrongSetting } from './steps.js'
import type { Step } from './steps.js'
import { PUNCTUATION, WHITE_SPACE, WORD } from './unicode.js'

export type PreTokenize = (parts: readonly Part[]) => Part[]

const KIND = 'pre-tokenizer'
const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
type Behavior = (typeof behaviors)[number]

const spaces = matcher(new RegExp(`[${WHITE_SPACE}]`, 'gu'))
const punctuation = matcher(new RegExp(PUNCTUATION, 'gv'))
const wordsAndSymbols = matcher(new RegExp(`[${WORD}]+|[^${WORD}${WHITE_SPACE}]+`, 'gu'))

/** The pre-tokenizers of a tokenizer.json by their types. */
const preTokenizers: Record<string, (step: Step) => PreTokenize> = {
  WhitespaceSplit: () => splitter(spaces, 'Removed'),
  Whitespace: () => splitter(wordsAndSymbols, 'Removed', true),
  Metaspace: metaspace,
  Punctuation: step => splitter(punctuation, behaviorOf(step)),
  Digits: step => splitter(matcher(/\p{N}/gu), step.individual_digits === true ? 'Isolated' : 'Contiguous'),
  Split: step => splitter(matcherOf(step, KIND), behaviorOf(step), step.invert === true),
  CharDelimiterSplit: step => {
    const pattern = { String: characterIn(step, 'delimiter', KIND) }
    return splitter(matcherOf({ ...step, pattern }, KIND), 'Removed')
  },
  FixedLength: step => {
    const { length = 5 } = step
    if (!Number.isInteger(length) || (length as number) < 1) throw wrongSetting(KIND, step, 'length', 'at least 1')
    return splitter(matcher(new RegExp(`[^]{1,${Math.min(length as number, 2 ** 31)}}`, 'gu')), 'Isolated')
  },
  BertPreTokenizer: () => {
    const words = splitter(spaces, 'Removed')
    const marks = splitter(punctuation, 'Isolated')
    return parts => marks(words(parts))
  },
  ByteLevel: ({ add_prefix_space: addsSpace = true, use_regex: cuts = true }) => {
    const words = splitter(matcher(gpt2Words), 'Isolated')
    return parts => {
      const spaced = parts.map(part => (addsSpace === true && !part.text.startsWith(' ') ? prepend(part, ' ') : part))
      return (cuts === true ? words(spaced) : spaced).map(({ text, head }) => ({
        text: byteLevel(text),
        head: head === 0 ? 0 : byteLevel(text.slice(0, head)).length,
      }))
    }
  },
}

/** The function of a tokenizer.json's pre-tokenizer. Throws a ConfigError that names a step that is not supported. */
export function preTokenizerOf(step: Step | null | undefined): PreTokenize {
  if (step === null || step === undefined) return parts => [...parts]
  const all = flatSteps(step, 'pretokenizers', KIND).map(each => {
    if (!Object.hasOwn(preTokenizers, each.type)) throw unsupported(KIND, each)
    return preTokenizers[each.type](each)
  })
  return parts =>
    all.reduce<Part[]>(
      (value, preTokenize) => {
        const result = preTokenize(value)
        checkGrowth(KIND, lengthOf(parts), lengthOf(result))
        return result
      },
      [...parts],
    )
}

const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, { text }) => sum + text.length, 0)

/** Writes spaces as the replacement, adds one before the text, and cuts before each. */
function metaspace(step: Step): PreTokenize {
  const replacement = characterIn(step, 'replacement', KIND, '\u2581')
  const when = prependScheme(step, KIND)
  return parts =>
    parts.flatMap(({ text, head }) => {
      let marked = { text: text.replaceAll(' ', replacement), head }
      const adds = when === 'always' || (when === 'first' && head > 0)
      if (adds && !marked.text.startsWith(replacement)) marked = prepend(marked, replacement)
      if (step.split === false) return [marked]
      const words: Part[] = []
      for (let from = 0; from < marked.text.length;) {
        const next = marked.text.indexOf(replacement, from + replacement.length)
        const end = next < 0 ? marked.text.length : next
        words.push(slice(marked, from, end))
        from = end
      }
      return words
    })
}

/** When Metaspace adds a space before a part. */
export function prependScheme(step: Step, kind: string): 'always' | 'first' | 'never' {
  const { prepend_scheme: scheme, add_prefix_space: addsSpace } = step
  if (addsSpace === false && scheme !== undefined && scheme !== 'never')
    throw wrongSetting(kind, step, 'prepend_scheme', '"never", as add_prefix_space is false')
  const when = scheme ?? (addsSpace === false ? 'never' : 'always')
  if (when !== 'always' && when !== 'first' && when !== 'never')
    throw wrongSetting(kind, step, 'prepend_scheme', '"always", "first" or "never"')
  return when
}

interface Piece {
  readonly from: number
  to: number
  readonly match: boolean
}

/** Cuts each part at the matches of a pattern or, inverted, at the text between them. */
function splitter(matches: Matches, behavior: Behavior, invert = false): PreTokenize {
  return parts =>
    parts.flatMap(part => {
      const pieces: Piece[] = []
      let last = 0
      for (const [from, to] of matches(part.text)) {
        if (from > last) pieces.push({ from: last, to: from, match: invert })
        pieces.push({ from, to, match: !invert })
        last = to
      }
      if (last < part.text.length) pieces.push({ from: last, to: part.text.length, match: invert })
      return merged(pieces, behavior)
        .filter(({ from, to }) => to > from)
        .map(({ from, to }) => slice(part, from, to))
    })
}

function merged(pieces: readonly Piece[], behavior: Behavior): readonly Piece[] {
  if (behavior === 'Removed') return pieces.filter(({ match }) => !match)
  if (behavior === 'Isolated') return pieces
  const result: Piece[] = []
  pieces.forEach((piece, i) => {
    const { match } = piece
    // Of several matches in a row, only the one beside a text that is none joins it. Nothing counts as such a text.
    const before = pieces[i - 1]?.match ?? false
    const joins =
      behavior === 'Contiguous'
        ? match === before
        : behavior === 'MergedWithPrevious'
          ? match && !before
          : !match && before
    const last = result.at(-1)
    if (joins && last !== undefined) last.to = piece.to
    else result.push({ ...piece })
  })
  return result
}

function behaviorOf(step: Step): Behavior {
  const behavior = step.behavior ?? 'Isolated'
  const known = behaviors.find(each => each === behavior)
  if (known === undefined) throw wrongSetting(KIND, step, 'behavior', `one of ${behaviors.join(', ')}`)
  return known
}

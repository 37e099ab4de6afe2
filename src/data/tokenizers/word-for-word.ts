import { splitWords } from '../../text/symbols.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { Example } from '../example.js'

/** The least share of examples with as many words in the target as in the input, for data that goes word for word. */
const MIN_EQUAL = 0.95
/** Inputs of fewer words than this on average need no numbering. */
const MIN_WORDS = 3

/**
 * Whether targets go with inputs word for word, as tags do: in nearly all examples both have as many words, and
 * numbering them loses nothing of the target (`losesSpaces`). `targets` is the vocabulary without numbers.
 */
export function isWordForWord(examples: readonly Example[], targets: Vocabulary): boolean {
  let words = 0
  let equal = 0
  for (const { input, target } of examples) {
    const { length } = splitWords(input)
    words += length
    if (length === splitWords(target).length && !losesSpaces(targets, target)) equal++
  }
  return words >= MIN_WORDS * examples.length && equal >= MIN_EQUAL * examples.length
}

/** The indices of the texts that have another number of words than their inputs. */
export const otherNumberOfWords = (inputs: readonly string[], texts: readonly string[]): number[] =>
  texts.flatMap((text, i) => (splitWords(text).length === splitWords(inputs[i]).length ? [] : [i]))

/**
 * Whether numbering a target's words loses spaces, tabs or line breaks that its vocabulary writes otherwise: numbered
 * words are joined by one space. Vocabularies of words and T5's pieces do that as well, and lose nothing more.
 */
export function losesSpaces(targets: Vocabulary, target: string): boolean {
  const joined = splitWords(target).join(' ')
  return joined !== target && targets.decode(targets.encode(target)) !== joined
}

/** Held-out inputs may have more words than those in training, by this factor. */
const MARGIN = 1.5

interface Vocabularies {
  readonly inputs: Vocabulary
  readonly targets: Vocabulary
}

/**
 * Both sides with their words numbered by the same markers, for data that goes word for word. New markers follow the
 * ids of both sides, one for each word of the longest text and some more.
 */
export function numberWords({ inputs, targets }: Vocabularies, examples: readonly Example[]): Vocabularies {
  const firstId = Math.max(inputs.size, targets.size)
  const longest = examples.reduce(
    (most, { input, target }) => Math.max(most, splitWords(input).length, splitWords(target).length),
    1,
  )
  const count = Math.min(MAX_NEW_MARKERS, Math.ceil(MARGIN * longest))
  return markWords(
    { inputs, targets },
    Array.from({ length: count }, (_, k) => firstId + k),
  )
}

const MAX_NEW_MARKERS = 256

/**
 * The vocabularies of a model to fine-tune with their words numbered by its sentinels, `<extra_id_0>` before the first
 * word. In pretraining by span corruption, a sentinel in the targets is learned to attend to the same one in the
 * inputs. Vocabularies without sentinels, and those whose words are numbered already, are returned unchanged.
 */
export function numberBySentinels({ inputs, targets }: Vocabularies): Vocabularies {
  const { sentinelIds } = inputs
  const shared = sentinelIds.length > 0 && sentinelIds.join() === targets.sentinelIds.join()
  return shared ? markWords({ inputs, targets }, sentinelIds) : { inputs, targets }
}

function markWords({ inputs, targets }: Vocabularies, markerIds: readonly number[]): Vocabularies {
  const marked = new MarkedWordsVocabulary(inputs, markerIds)
  return { inputs: marked, targets: targets === inputs ? marked : new MarkedWordsVocabulary(targets, markerIds) }
}

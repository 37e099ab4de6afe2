import { splitWords } from '../../text/symbols.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import { datasetOf, spreadExamples } from '../dataset.js'
import type { Example } from '../example.js'
import type { Tokenizers } from './names.js'

/** More different words than this are a language, not a set of symbols. */
const MAX_SYMBOLS = 1_000
/**
 * The estimated share of unknown words among new targets, at most, for words to be tokens. By Good and Turing, it is
 * the share of the words that were seen only once.
 */
const MAX_UNSEEN = 0.001
/** The share of held-out targets with a word that no training target has, at most, for words to be tokens. */
const MAX_UNCOVERED = 0.01
/**
 * The share of tokens that T5's pieces cannot write, at most. Beside labels and symbols, an input may hold more of
 * them: it is only read, and a rare sign is still seen as unknown.
 */
const MAX_UNKNOWN_PIECES = 0.001
const MAX_UNKNOWN_READ = 0.05
/** Inputs and targets with fewer characters than this on average are read byte by byte. */
const SHORT = { inputs: 48, targets: 32 }
/** Texts that are looked at, spread evenly over the data. */
const SAMPLE = 2_000

/**
 * Chooses how the text of a task becomes tokens, by its training and held-out examples:
 *
 * - Targets that are labels or sequences of symbols (tags, phonemes) are read by words: at most 1,000 different ones,
 *   hardly any of them seen only once, and held-out targets do not show others.
 * - Short texts (dates, names, inflections), and texts that T5 cannot write (other scripts), are read by bytes.
 * - All else is read by T5's pieces.
 */
export function chooseTokenizers(train: readonly Example[], heldOut: readonly Example[], t5: Vocabulary): Tokenizers {
  const sample = spreadExamples(datasetOf(train), SAMPLE)
  const inputs = sample.map(example => example.input)
  const targets = sample.map(example => example.target)
  if (areSymbols(train, heldOut)) {
    // A sentence, such as one to be classified, has spaces; a word to be pronounced has none.
    const sentences = inputs.filter(text => splitWords(text).length > 2).length * 2 > inputs.length
    const text = sentences || meanLength(inputs) >= SHORT.inputs
    return { inputs: text && unknownShare(t5, inputs) <= MAX_UNKNOWN_READ ? 't5' : 'bytes', targets: 'words' }
  }
  const t5Writes = unknownShare(t5, inputs) <= MAX_UNKNOWN_PIECES && unknownShare(t5, targets) <= MAX_UNKNOWN_PIECES
  const short = meanLength(inputs) < SHORT.inputs && meanLength(targets) < SHORT.targets
  const name = t5Writes && !short ? 't5' : 'bytes'
  return { inputs: name, targets: name }
}

/** Whether targets are made of a closed set of words. */
function areSymbols(train: readonly Example[], heldOut: readonly Example[]): boolean {
  const counts = new Map<string, number>()
  let words = 0
  for (const { target } of train) {
    for (const word of splitWords(target)) {
      counts.set(word, (counts.get(word) ?? 0) + 1)
      words++
    }
    if (counts.size > MAX_SYMBOLS) return false
  }
  let once = 0
  for (const count of counts.values()) if (count === 1) once++
  if (once > words * MAX_UNSEEN) return false
  const uncovered = heldOut.filter(({ target }) => splitWords(target).some(word => !counts.has(word))).length
  return uncovered <= heldOut.length * MAX_UNCOVERED
}

const meanLength = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + text.length, 0) / Math.max(1, texts.length)

function unknownShare(vocabulary: Vocabulary, texts: readonly string[]): number {
  let unknown = 0
  let all = 0
  for (const text of texts) {
    for (const id of vocabulary.encode(text)) {
      all++
      if (id === vocabulary.unkId) unknown++
    }
  }
  return unknown / Math.max(1, all)
}

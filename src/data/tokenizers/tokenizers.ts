import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { CharacterVocabulary, codePoints, sortedSymbols, splitWords, WordVocabulary } from '../../text/symbols.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { SentencePieceVocabulary } from '../../text/sentencepiece.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { Example } from '../example.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'
import type { Tokenizer, Tokenizers } from './names.js'

/** With more pieces than this in use, leaving out the rest of T5's saves little. */
const MAX_SUBSET = 16_000
/** T5's pieces are counted in at most this many examples, spread evenly over the data. */
const COUNTED_EXAMPLES = 100_000

/**
 * The vocabularies of both sides, made from the training examples. Sides with the same tokenizer share one vocabulary;
 * otherwise the symbols of one side (characters or words) follow the other's ids. Throws a ConfigError for a pair that
 * cannot share an id space.
 */
export async function makeVocabularies(
  names: Tokenizers,
  examples: readonly Example[],
): Promise<{ inputs: Vocabulary; targets: Vocabulary }> {
  const inputs = examples.map(example => example.input)
  const targets = examples.map(example => example.target)
  if (names.inputs === names.targets) {
    const shared = await fixed(names.inputs, inputs, targets)
    return { inputs: shared, targets: shared }
  }
  if (isListed(names.targets)) {
    const first = isListed(names.inputs) ? listed(names.inputs, inputs) : await fixed(names.inputs, inputs)
    const [padded, following] = sideBySide(first, names.targets, targets)
    return { inputs: padded, targets: following }
  }
  if (isListed(names.inputs)) {
    const [padded, following] = sideBySide(await fixed(names.targets, targets), names.inputs, inputs)
    return { inputs: following, targets: padded }
  }
  throw new ConfigError(
    `inputs by ${names.inputs} and targets by ${names.targets} cannot share one embedding table: use one of them for both, or characters or words for one side`,
  )
}

type Listed = 'characters' | 'words'
const isListed = (name: Tokenizer): name is Listed => name === 'characters' || name === 'words'

const splits = { characters: codePoints, words: splitWords }
const vocabularies = { characters: CharacterVocabulary, words: WordVocabulary }

const listed = (name: Listed, texts: readonly string[]): CharacterVocabulary | WordVocabulary =>
  new vocabularies[name](sortedSymbols(texts, splits[name]))

/** A vocabulary whose ids begin at the first one. */
async function fixed(name: Tokenizer, ...texts: readonly (readonly string[])[]): Promise<Vocabulary> {
  if (name === 'bytes') return new ByteVocabulary(0)
  if (name === 't5') return piecesOf(texts)
  return listed(name, texts.flat())
}

/** A vocabulary, and one of symbols whose ids follow it. Lists of symbols declare the size of the whole id space. */
function sideBySide(first: Vocabulary, name: Listed, texts: readonly string[]): [Vocabulary, Vocabulary] {
  const symbols = sortedSymbols(texts, splits[name])
  const firstId = first.size
  const size = firstId + symbols.length
  const following = new vocabularies[name](symbols, { firstId, size })
  if (first instanceof CharacterVocabulary) return [new CharacterVocabulary(first.symbols, { size }), following]
  if (first instanceof WordVocabulary) return [new WordVocabulary(first.symbols, { size }), following]
  return [first, following]
}

/**
 * T5's pieces that the texts use, and all pieces of one character, so that every text that T5 can write can still be
 * written. A small model then has a small embedding table, and no pieces that are never trained.
 */
async function piecesOf(texts: readonly (readonly string[])[]): Promise<SentencePieceVocabulary> {
  const t5 = await loadT5Vocabulary()
  const used = new Set<number>()
  for (const side of texts) {
    const every = Math.max(1, side.length / COUNTED_EXAMPLES)
    for (let i = 0; i < side.length; i += every) for (const id of t5.encode(side[Math.floor(i)])) used.add(id)
  }
  return used.size > MAX_SUBSET ? t5 : t5.restrictTo(used)
}

/** What a vocabulary holds, for a user: `T5's pieces (241 in use)`, `words (39)`. */
export function describeVocabulary(vocabulary: Vocabulary, tokenizer?: Tokenizer): string {
  if (vocabulary instanceof MarkedWordsVocabulary) return describeVocabulary(vocabulary.words, tokenizer)
  if (vocabulary instanceof ByteVocabulary) return 'UTF-8 bytes'
  if (vocabulary instanceof CharacterVocabulary) return `characters (${formatCount(vocabulary.symbols.length)})`
  if (vocabulary instanceof WordVocabulary) return `words (${formatCount(vocabulary.symbols.length)})`
  const pieces = formatCount(vocabulary.size - vocabulary.sentinelIds.length)
  return tokenizer === 't5' ? `T5's pieces (${pieces} in use)` : `SentencePiece's pieces (${pieces})`
}

import { formatCount } from '../../base/format.js'
import { symbolsOf } from '../../text/symbols-of.js'
import type { TextCodec } from '../../text/codec.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { Example } from '../example.js'

/** An excerpt of this many unknown symbols is shown. */
const SHOWN = 3

/** The symbols of a text that are not in a vocabulary, each once: words for a vocabulary of words, else characters. */
export function unknownIn(vocabulary: Vocabulary, text: string): string[] {
  const rest = vocabulary.sentinelIds.length > 0 ? text.replaceAll(/<extra_id_\d+>/g, '') : text
  return [...new Set(symbolsOf(vocabulary)(rest))].filter(symbol =>
    vocabulary.encode(symbol).includes(vocabulary.unkId),
  )
}

/** How many of some texts hold symbols that a vocabulary does not have, and these symbols. */
export interface Coverage {
  readonly unknown: number
  readonly all: number
  /** The unknown symbols, each once, in order of appearance. */
  readonly symbols: readonly string[]
}

export function coverageOf(vocabulary: Vocabulary, texts: readonly string[]): Coverage {
  const symbols = new Set<string>()
  let unknown = 0
  for (const text of texts) {
    if (!vocabulary.encode(text).includes(vocabulary.unkId)) continue
    unknown++
    for (const symbol of unknownIn(vocabulary, text)) symbols.add(symbol)
  }
  return { unknown, all: texts.length, symbols: [...symbols] }
}

/** Where a vocabulary is from: chosen for the data, of a model to fine-tune, or of a task's definition. */
export type VocabularyOrigin = keyof typeof advices

const advices = {
  chosen: 'Bytes can write any text: --tokenizer bytes',
  model:
    "The vocabulary is the model's: begin with a model that has these symbols, or train a new one (switchyard train)",
  task: "The vocabulary is the task's: give its features one that has these symbols, or bytes, which can write any text",
}

/**
 * What a user should know before training: the share of held-out targets that the model can never answer, because its
 * vocabulary has no token for a part of them, and the share of inputs of which it cannot see all.
 */
export function coverageWarnings(
  { inputs, targets }: Pick<TextCodec, 'inputs' | 'targets'>,
  examples: Readonly<Record<'train' | 'heldOut', readonly Example[]>>,
  origin: VocabularyOrigin,
): string[] {
  const advice = advices[origin]
  const side = (of: readonly Example[], name: 'input' | 'target'): string[] => of.map(example => example[name])
  return [
    ...warning(
      'training targets',
      coverageOf(targets, side(examples.train, 'target')),
      `the model cannot learn them. ${advice}`,
    ),
    ...warning(
      'held-out targets',
      coverageOf(targets, side(examples.heldOut, 'target')),
      `the model can never answer them. ${advice}`,
    ),
    ...warning(
      'held-out inputs',
      coverageOf(inputs, side(examples.heldOut, 'input')),
      'the model sees these parts as unknown',
    ),
  ]
}

function warning(what: string, { unknown, all, symbols }: Coverage, consequence: string): string[] {
  if (unknown === 0) return []
  const shown = symbols.slice(0, SHOWN).map(symbol => JSON.stringify(symbol))
  const share = ((100 * unknown) / all).toFixed(1)
  return [
    `warning: ${formatCount(unknown)} of ${formatCount(all)} ${what} (${share}%) hold what the vocabulary does not have, such as ${shown.join(', ')}: ${consequence}`,
  ]
}

/** The symbols of an input text that are not in the model's vocabulary, each once. */
export const unknownSymbols = ({ inputs, prepare }: Pick<TextCodec, 'inputs' | 'prepare'>, input: string): string[] =>
  unknownIn(inputs, prepare(input))

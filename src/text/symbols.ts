import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { EOS_ID, FIRST_SYMBOL_ID, PAD_ID, UNK_ID, UNKNOWN_TEXT } from './vocabulary.js'
import { decodeAll, textStream } from './stream.js'
import type { TextStream, Vocabulary } from './vocabulary.js'

const MAX_SYMBOLS = 1_000_000
const MAX_SYMBOL_LENGTH = 1_000
/** The most ids that a vocabulary may have: each is a row of a model's embedding table. */
export const MAX_SIZE = 2 ** 24

/** The ids of a list's symbols. By default they follow the special ids and end the id space. */
export interface Placement {
  /** The id of the first symbol. */
  readonly firstId?: number
  /** The size of the whole id space, which other vocabularies may share. */
  readonly size?: number
}

const listOf = <T extends z.ZodType<string>>(symbol: T) => ({
  symbols: z.array(symbol).max(MAX_SYMBOLS),
  firstId: z.int().min(FIRST_SYMBOL_ID).max(MAX_SIZE).optional(),
  size: z.int().max(MAX_SIZE).optional(),
})

export const charactersSpec = z.strictObject({
  kind: z.literal('characters'),
  ...listOf(
    z
      .string()
      .max(2)
      .refine(s => codePoints(s).length === 1, 'must be a single code point'),
  ),
})

export const wordsSpec = z.strictObject({
  kind: z.literal('words'),
  ...listOf(
    z
      .string()
      .min(1)
      .max(MAX_SYMBOL_LENGTH)
      .refine(s => !/\s/u.test(s), 'must hold no white space'),
  ),
})

type ListSpec = z.infer<typeof charactersSpec> | z.infer<typeof wordsSpec>

/** A list of symbols with consecutive ids. The subclass decides how a text is split into symbols and joined again. */
abstract class ListVocabulary implements Vocabulary {
  readonly padId = PAD_ID
  readonly eosId = EOS_ID
  readonly unkId = UNK_ID
  readonly sentinelIds: readonly number[] = []
  readonly size: number
  readonly symbols: readonly string[]
  readonly firstId: number
  private readonly ids: ReadonlyMap<string, number>

  protected constructor(spec: ListSpec) {
    this.symbols = [...spec.symbols]
    this.firstId = spec.firstId ?? FIRST_SYMBOL_ID
    const end = this.firstId + this.symbols.length
    this.size = spec.size ?? end
    if (this.size < end || this.size > MAX_SIZE) {
      throw new ConfigError(
        `vocabulary of ${spec.kind}: ${this.symbols.length} symbols from id ${this.firstId} do not fit a size of ${this.size}`,
      )
    }
    this.ids = new Map(this.symbols.map((symbol, i) => [symbol, this.firstId + i]))
    if (this.ids.size < this.symbols.length) {
      const twice = this.symbols.find((symbol, i) => this.ids.get(symbol) !== this.firstId + i)
      throw new ConfigError(`vocabulary of ${spec.kind}: ${JSON.stringify(twice)} is listed twice`)
    }
  }

  protected abstract split(text: string): string[]
  /** Decoding joins symbols with this text. */
  protected abstract readonly separator: string
  abstract toJSON(): ListSpec

  encode(text: string): number[] {
    return this.split(text).map(symbol => this.ids.get(symbol) ?? UNK_ID)
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    let before = ''
    return textStream(id => {
      const text = before + (this.symbols[id - this.firstId] ?? UNKNOWN_TEXT)
      before = this.separator
      return text
    })
  }

  protected placement(): { firstId: number; size: number } {
    return { firstId: this.firstId, size: this.size }
  }
}

/** One id for each code point. Texts are not changed: there is no case folding and no Unicode normalization. */
export class CharacterVocabulary extends ListVocabulary {
  protected readonly separator = ''

  constructor(symbols: readonly string[], placement: Placement = {}) {
    super(parse(charactersSpec, { kind: 'characters', symbols: [...symbols], ...placement }))
  }

  /** The code points of all the texts, sorted: the same list whatever the order of the texts. */
  static fromTexts(texts: Iterable<string>): CharacterVocabulary {
    return new CharacterVocabulary(sortedSymbols(texts, codePoints))
  }

  toJSON(): z.infer<typeof charactersSpec> {
    return { kind: 'characters', symbols: [...this.symbols], ...this.placement() }
  }

  protected split(text: string): string[] {
    return codePoints(text)
  }
}

/** One id for each word; words are separated by white space. Decoding joins words with one space. */
export class WordVocabulary extends ListVocabulary {
  protected readonly separator = ' '

  constructor(symbols: readonly string[], placement: Placement = {}) {
    super(parse(wordsSpec, { kind: 'words', symbols: [...symbols], ...placement }))
  }

  /** The words of all the texts, sorted: the same list whatever the order of the texts. */
  static fromTexts(texts: Iterable<string>): WordVocabulary {
    return new WordVocabulary(sortedSymbols(texts, splitWords))
  }

  toJSON(): z.infer<typeof wordsSpec> {
    return { kind: 'words', symbols: [...this.symbols], ...this.placement() }
  }

  protected split(text: string): string[] {
    return splitWords(text)
  }
}

/**
 * Two vocabularies with different ids in one id space. A model has one embedding table for both sides, and an input
 * letter "b" and a target phoneme "B" should not share an embedding.
 */
export function sideBySide(
  characters: readonly string[],
  words: readonly string[],
): { characters: CharacterVocabulary; words: WordVocabulary } {
  const firstWord = FIRST_SYMBOL_ID + characters.length
  const size = firstWord + words.length
  return {
    characters: new CharacterVocabulary(characters, { size }),
    words: new WordVocabulary(words, { firstId: firstWord, size }),
  }
}

/** The code points of a text, each as a string. */
export const codePoints = (text: string): string[] => Array.from(text)

/** The words of a text, separated by white space. */
export const splitWords = (text: string): string[] => text.match(/\S+/gu) ?? []

/** Every different symbol of the texts, in the order of their UTF-16 code units (which no locale changes). */
export function sortedSymbols(texts: Iterable<string>, split: (text: string) => string[]): string[] {
  const symbols = new Set<string>()
  for (const text of texts) {
    for (const symbol of split(text)) symbols.add(symbol)
  }
  return [...symbols].sort()
}

function parse<S extends z.ZodType>(schema: S, spec: z.input<S> & { kind: string }): z.output<S> {
  const result = schema.safeParse(spec)
  if (!result.success) throw new ConfigError(`vocabulary of ${spec.kind}: ${z.prettifyError(result.error)}`)
  return result.data
}

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { ByteVocabulary } from './bytes.js'
import { markedWordsSpec, MarkedWordsVocabulary } from './marked-words.js'
import { isPlain, isUnchanged, plainSpec } from './plain-vocabularies.js'
import { CharacterVocabulary, WordVocabulary } from './symbols.js'
import { SentencePieceVocabulary } from './sentencepiece.js'
import { fromTokenizerJson } from './tokenizer-json.js'
import type { Vocabulary } from './vocabulary.js'

/** The schemas of all vocabularies. A new one adds its schema here and its constructor below. */
export const vocabularySpec = z.discriminatedUnion('kind', [...plainSpec.options, markedWordsSpec])

type AnySpec = z.infer<typeof vocabularySpec>

// The mapped type makes a schema without a constructor a compile error.
const constructors: { [K in AnySpec['kind']]: (spec: Extract<AnySpec, { kind: K }>) => Vocabulary } = {
  characters: ({ symbols, firstId, size }) => new CharacterVocabulary(symbols, { firstId, size }),
  words: ({ symbols, firstId, size }) => new WordVocabulary(symbols, { firstId, size }),
  bytes: ({ sentinels, added, reference }) => new ByteVocabulary(sentinels, { added, reference }),
  markedWords: ({ words, markerIds }) => new MarkedWordsVocabulary(construct(words), markerIds),
  sentencepiece: spec => SentencePieceVocabulary.fromJSON(spec),
  tokenizerJson: ({ tokenizer, special }) => fromTokenizerJson(tokenizer, special),
}

/** Whether a vocabulary is one of those here, so that `vocabularyFromJSON` makes an equal one of its `toJSON`. */
export const isBuiltIn = (vocabulary: Vocabulary): boolean =>
  isPlain(vocabulary) ||
  (vocabulary instanceof MarkedWordsVocabulary &&
    isUnchanged(vocabulary, MarkedWordsVocabulary) &&
    isPlain(vocabulary.words))

/**
 * Builds a vocabulary from the result of its `toJSON`. It may come from a file: a ConfigError says what is wrong with
 * it.
 */
export function vocabularyFromJSON(spec: unknown): Vocabulary {
  const result = vocabularySpec.safeParse(spec)
  if (!result.success) throw new ConfigError(`not a vocabulary: ${z.prettifyError(result.error)}`)
  return construct(result.data)
}

function construct<K extends AnySpec['kind']>(spec: Extract<AnySpec, { kind: K }>): Vocabulary {
  return constructors[spec.kind as K](spec)
}

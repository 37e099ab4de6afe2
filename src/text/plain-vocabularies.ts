import * as z from 'zod'
import { bytesSpec, ByteVocabulary } from './bytes.js'
import { sentencePieceSpec, SentencePieceVocabulary } from './sentencepiece.js'
import { charactersSpec, CharacterVocabulary, wordsSpec, WordVocabulary } from './symbols.js'
import { tokenizerJsonSpec } from './tokenizer-json.js'
import { JsonTokenizer } from './tokenizer-json/json-tokenizer.js'
import type { Vocabulary } from './vocabulary.js'

/** The schemas of the vocabularies that contain no other vocabulary. */
export const plainSpec = z.discriminatedUnion('kind', [
  charactersSpec,
  wordsSpec,
  bytesSpec,
  sentencePieceSpec,
  tokenizerJsonSpec,
])

export type PlainVocabulary =
  CharacterVocabulary | WordVocabulary | ByteVocabulary | SentencePieceVocabulary | JsonTokenizer

type Kind = z.infer<typeof plainSpec>['kind']
// The mapped type makes a schema without a class a compile error.
const classes: { [K in Kind]: readonly { readonly prototype: PlainVocabulary }[] } = {
  characters: [CharacterVocabulary],
  words: [WordVocabulary],
  bytes: [ByteVocabulary],
  sentencepiece: [SentencePieceVocabulary],
  tokenizerJson: [JsonTokenizer],
}

/** Whether an object is of this class itself, no subclass, and encodes by the method of the class. */
export const isUnchanged = (vocabulary: Vocabulary, { prototype }: { readonly prototype: Vocabulary }): boolean =>
  Object.getPrototypeOf(vocabulary) === prototype && !Object.hasOwn(vocabulary, 'encode')

/** Whether a vocabulary is one of this library that contains no other. */
export const isPlain = (vocabulary: Vocabulary): vocabulary is PlainVocabulary =>
  Object.values(classes)
    .flat()
    .some(each => isUnchanged(vocabulary, each))

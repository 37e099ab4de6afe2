/** `switchyard-ml/text`: vocabularies, which turn texts into token ids and back. Runs in Node and in browsers. */

// Vocabularies, and how they are made
export { ByteVocabulary } from './text/bytes.js'
export { CharacterVocabulary, WordVocabulary } from './text/symbols.js'
export { MarkedWordsVocabulary } from './text/marked-words.js'
export type { PlainVocabulary } from './text/plain-vocabularies.js'
export type { Placement } from './text/symbols.js'
export { SentencePieceVocabulary } from './text/sentencepiece.js'
export { fromTokenizerJson } from './text/tokenizer-json.js'

export type { AddedToken } from './text/tokenizer-json/added-tokens.js'
export type { SpecialTokens } from './text/tokenizer-json/schema.js'
export type { JsonTokenizer } from './text/tokenizer-json/json-tokenizer.js'
export { vocabularyFromJSON } from './text/from-json.js'
export { inputIds, targetIds } from './text/special-tokens.js'
export { plainCodec } from './text/codec.js'
export type { TextCodec } from './text/codec.js'
export type { TextStream, Vocabulary, VocabularyReference, VocabularySpec } from './text/vocabulary.js'

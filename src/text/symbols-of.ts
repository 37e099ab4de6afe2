import { MarkedWordsVocabulary } from './marked-words.js'
import { codePoints, splitWords, WordVocabulary } from './symbols.js'
import type { Vocabulary } from './vocabulary.js'

/** Cuts a decoded text into the symbols of its vocabulary: words for one of words or marked words, else characters. */
export const symbolsOf = (vocabulary: Vocabulary): ((text: string) => string[]) =>
  vocabulary instanceof WordVocabulary || vocabulary instanceof MarkedWordsVocabulary ? splitWords : codePoints

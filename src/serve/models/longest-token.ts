import type { Vocabulary } from '../../text/vocabulary.js'

/** The most characters of a token's text, with the space that decoding drops at the beginning of a text. */
export function longestToken(vocabulary: Vocabulary): number {
  let longest = 0
  for (let id = 0; id < vocabulary.size; id++) longest = Math.max(longest, vocabulary.decode([id]).length)
  return longest + 1
}

/**
 * How text becomes tokens: T5's pieces (those that the training examples use), UTF-8 bytes, characters, or words
 * between spaces. Characters and words that occur in no training example are unknown; bytes can write any text.
 */
export const tokenizers = ['t5', 'bytes', 'characters', 'words'] as const
export type Tokenizer = (typeof tokenizers)[number]

/** The tokenizer of each side. */
export interface Tokenizers {
  readonly inputs: Tokenizer
  readonly targets: Tokenizer
}

import type { Vocabulary } from './vocabulary.js'

/** Converts a model's input texts to token ids, and the ids that it generates to texts. */
export interface TextCodec {
  readonly inputs: Vocabulary
  /** The same object as `inputs` where both sides share one vocabulary. */
  readonly targets: Vocabulary
  /** Normalizes a user's input; `inputs` encodes the result. */
  prepare(text: string): string
}

/** The codec of models whose inputs and outputs share one vocabulary. Texts are encoded unchanged. */
export const plainCodec = (vocabulary: Vocabulary): TextCodec => ({
  inputs: vocabulary,
  targets: vocabulary,
  prepare: text => text,
})

/** A codec that lowercases texts, one character at a time, before it encodes them. */
export const lowercased = (codec: TextCodec): TextCodec => ({
  ...codec,
  prepare: text => Array.from(codec.prepare(text), character => character.toLowerCase()).join(''),
})

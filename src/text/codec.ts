import type { Vocabulary } from './vocabulary.js'

/** How a model's texts become token ids, and its token ids texts: all that answering a text needs besides the model. */
export interface TextCodec {
  readonly inputs: Vocabulary
  /** The same object as `inputs` where both sides share one vocabulary. */
  readonly targets: Vocabulary
  /** Normalizes a user's input; `inputs` encodes the result. */
  prepare(text: string): string
}

/** The codec of models whose inputs and answers share one vocabulary: texts are encoded as they are. */
export const plainCodec = (vocabulary: Vocabulary): TextCodec => ({
  inputs: vocabulary,
  targets: vocabulary,
  prepare: text => text,
})

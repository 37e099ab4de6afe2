import type { Fields } from '../preprocessor.js'

/** What a postprocessor knows besides the text. */
export interface PostprocessorContext {
  /** The example that the text belongs to, with all the fields that the task's preprocessors gave it. */
  readonly example: Fields
  /** Whether the text is the example's target. Otherwise it is what the model generated. */
  readonly isTarget: boolean
}

/**
 * Turns a text into what a task's metrics take, as SeqIO's `postprocess_fn`. It is called for each prediction, and for
 * each target with `isTarget` true: the two results may be of different types, such as a text and a list of answers.
 */
export type Postprocessor = (text: string, context: PostprocessorContext) => unknown

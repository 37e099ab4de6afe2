import type { Vocabulary } from '../text/vocabulary.js'
import type { Dataset } from './dataset.js'

/** A value of an example: text, a number, token ids, or a list or record of values. */
export type FieldValue =
  | string
  | number
  | bigint
  | boolean
  | Int32Array
  | Float32Array
  | readonly FieldValue[]
  | { readonly [name: string]: FieldValue }

/** An example as preprocessors see it: values by name, such as `inputs` and `targets`. */
export type Fields = { readonly [name: string]: FieldValue }

/** How one feature of a task's examples becomes tokens. */
export interface Feature {
  readonly vocabulary: Vocabulary
  /** Whether the feature's tokens end with EOS. Default: true. */
  readonly addEos?: boolean
}

/** Seeds of the random preprocessors of a task, drawn in the order in which they are applied. */
export interface SeedCounter {
  /**
   * The counter's value for the next preprocessor, which uses `numSeeds` seeds for each example. Advances by 2
   * numSeeds.
   */
  take(numSeeds: number): number
}

/** What a preprocessor knows besides the examples. */
export interface PreprocessorContext {
  readonly seeds: SeedCounter
  /** The greatest length of each feature in tokens (`sequence_length`); null if there is no limit. */
  readonly lengths: { readonly [feature: string]: number } | null
  readonly features: { readonly [feature: string]: Feature }
}

/** One stage of a task: examples in, examples out. SeqIO's preprocessors are functions that make such a value. */
export interface Preprocessor {
  /** As reports name the stage: `spanCorruption`. */
  readonly name: string
  apply(dataset: Dataset<Fields>, context: PreprocessorContext): Dataset<Fields>
}

import type { Vocabulary } from '../../../src/text/vocabulary.js'

/** A name of the reference as it is called here: `span_corruption` is `spanCorruption`. */
export const camelCase = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** A vocabulary of a size alone, for preprocessors that read no text. */
export const vocabularyOfSize = (size: number): Vocabulary =>
  ({ size, sentinelIds: [size - 1], eosId: 1 }) as unknown as Vocabulary

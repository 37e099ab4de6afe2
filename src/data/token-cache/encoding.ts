import type { Dataset } from '../dataset.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../preprocessor.js'

/** Examples, and the preprocessors that encode them. Each of these has a key (`preprocessorKey`). */
export interface Encoding {
  /** Names the data in messages: `brown (train)`. */
  readonly name: string
  readonly source: Dataset<Fields>
  readonly stages: readonly Preprocessor[]
  readonly context: Pick<PreprocessorContext, 'features' | 'lengths' | 'seeds'>
}

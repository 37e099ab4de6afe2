import { mapDataset } from '../../dataset.js'
import type { Fields, FieldValue, Preprocessor, PreprocessorContext } from '../../preprocessor.js'

/** A preprocessor that changes each example by itself. */
export const mapPreprocessor = (
  name: string,
  change: (example: Fields, context: PreprocessorContext) => Fields,
): Preprocessor => ({
  name,
  apply: (dataset, context) => mapDataset(dataset, example => change(example, context)),
})

/** The example with each value changed. */
export const mapFields = (example: Fields, change: (value: FieldValue, name: string) => FieldValue): Fields =>
  Object.fromEntries(Object.entries(example).map(([name, value]) => [name, change(value, name)]))

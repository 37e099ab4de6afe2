/** Checks of what a user's own functions return: no compiler checks the types of a program in JavaScript. */
import { ConfigError } from '../base/errors.js'
import { mapDataset } from './dataset.js'
import type { Dataset } from './dataset.js'
import type { Fields, Preprocessor } from './preprocessor.js'

/** A value of a wrong kind, for messages: `undefined`, `a text`, `a Promise (await it)`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value !== 'object') return `a ${typeof value}`
  if ('then' in value) return 'a Promise, which is not awaited here'
  return `an object with the keys ${Object.keys(value).slice(0, 8).join(', ') || '(none)'}`
}

/** Whether a value has the form of a Dataset. Its length is not asked for: a dataset may have to compute it. */
export const isDataset = (value: unknown): value is Dataset<unknown> =>
  typeof value === 'object' && value !== null && 'length' in value && 'get' in value && typeof value.get === 'function'

/** Whether a value can be an example: a record of fields. */
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !ArrayBuffer.isView(value) &&
  !('then' in value)

/** An example as text, for hashes. */
export const fieldsAsText = (example: Fields): string =>
  JSON.stringify(example, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))

/**
 * A preprocessor whose results are checked: a ConfigError says what was returned in the place of a dataset or
 * of an example.
 */
export const checkedPreprocessor = (preprocessor: Preprocessor): Preprocessor => ({
  name: preprocessor.name,
  apply(dataset, context) {
    const result: unknown = preprocessor.apply(dataset, context)
    if (!isDataset(result))
      throw new ConfigError(`it returned ${describeValue(result)}: expected a dataset, { length, get(index) }`)
    return mapDataset(result as Dataset<unknown>, (example, index) => {
      if (isFields(example)) return example
      throw new ConfigError(
        `it gave ${describeValue(example)} for example ${index}: expected fields by name, such as { inputs, targets }`,
      )
    })
  },
})

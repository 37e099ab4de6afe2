import { ConfigError } from '../../base/errors.js'
import type { Fields, FieldValue } from '../preprocessor.js'

/** A field of an example. Throws a ConfigError if the example has no field of this name. */
export function fieldOf(example: Fields, name: string): FieldValue {
  const value = example[name]
  if (value === undefined)
    throw new ConfigError(
      `an example has no field "${name}", which the postprocessor needs; it has ${Object.keys(example).join(', ')}`,
    )
  return value
}

/** A field that is a list of texts. Throws a ConfigError if it is something else. */
export function textsOf(example: Fields, name: string): readonly string[] {
  const value = fieldOf(example, name)
  if (!Array.isArray(value) || !value.every(text => typeof text === 'string'))
    throw new ConfigError(`the field "${name}" of an example is no list of texts: ${JSON.stringify(value)}`)
  return value
}

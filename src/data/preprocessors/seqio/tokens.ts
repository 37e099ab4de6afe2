import { ConfigError } from '../../../base/errors.js'
import type { FieldValue } from '../../preprocessor.js'

/** Changes the token ids of a feature: one sequence, or each sequence of a list. */
export function changeTokens(
  value: FieldValue,
  feature: string,
  change: (tokens: Int32Array) => Int32Array,
): FieldValue {
  if (value instanceof Int32Array) return change(value)
  if (Array.isArray(value)) return (value as readonly FieldValue[]).map(item => changeTokens(item, feature, change))
  throw new ConfigError(`the feature "${feature}" must hold token ids, not ${typeof value}: tokenize it first`)
}

/** The token ids followed by one more. */
export function append(tokens: Int32Array, id: number): Int32Array {
  const longer = new Int32Array(tokens.length + 1)
  longer.set(tokens)
  longer[tokens.length] = id
  return longer
}

import { ConfigError } from '../../../base/errors.js'
import { mapDataset } from '../../dataset.js'
import type { Fields, FieldValue, Preprocessor } from '../../preprocessor.js'

/** A preprocessor of a function that changes each example by itself, such as one of your own. */
export const eachExample = (name: string, change: (example: Fields) => Fields): Preprocessor => ({
  name,
  apply: dataset => mapDataset(dataset, change),
})

/**
 * The value at a path of names, such as `answers/text`. Throws a ConfigError if there is none; `name` is the
 * preprocessor's.
 */
export function valueAt(example: Fields, path: string, name: string): FieldValue {
  let value: FieldValue | undefined = example[path]
  if (value === undefined) {
    value = example
    for (const key of path.split('/'))
      value = typeof value === 'object' ? (value as Record<string, FieldValue>)[key] : undefined
  }
  if (value === undefined)
    throw new ConfigError(
      `${name}: an example has no field "${path}"; it has ${Object.keys(example).join(', ') || 'no fields'}`,
    )
  return value
}

/** The text at a path. Throws a ConfigError if it is something else. */
export function textAt(example: Fields, path: string, name: string): string {
  const value = valueAt(example, path, name)
  if (typeof value !== 'string') throw wrongType(path, name, 'a text', value)
  return value
}

/** The list of texts at a path. Throws a ConfigError if it is something else. */
export function textsAt(example: Fields, path: string, name: string): readonly string[] {
  const value = valueAt(example, path, name)
  if (!Array.isArray(value) || !value.every(text => typeof text === 'string'))
    throw wrongType(path, name, 'a list of texts', value)
  return value
}

/** The number at a path; a boolean is 0 or 1. Throws a ConfigError if it is something else. */
export function numberAt(example: Fields, path: string, name: string): number {
  const value = valueAt(example, path, name)
  if (typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'bigint')
    throw wrongType(path, name, 'a number', value)
  return Number(value)
}

const wrongType = (path: string, name: string, expected: string, value: FieldValue): ConfigError =>
  new ConfigError(
    `${name}: the field "${path}" of an example should be ${expected}, but is ${JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)).slice(0, 80)}`,
  )

/** The name of a label: that at its index, or `<unk>` for the label -1, which marks an example without a label. */
export function labelName(label: number, names: readonly string[], name: string): string {
  if (label === -1) return '<unk>'
  if (!(label in names))
    throw new ConfigError(`${name}: an example has the label ${label}, but there are ${names.length} label names`)
  return names[label]
}

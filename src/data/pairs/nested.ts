import type { Fields, FieldValue } from '../preprocessor.js'

/**
 * The value of a column: the field of that name, or the one at the end of a path of names such as `translation.en`. In
 * a path, a list gives its first item; a number from 1 gives another one (`answers.text.2`), and `*` all of them
 * (`answers.text.*`). Undefined if there is no such value. `onFirst` is called if the first of several items was taken.
 */
export function valueAt(fields: Fields, column: string, onFirst: () => void = () => undefined): FieldValue | undefined {
  if (Object.hasOwn(fields, column)) return fields[column]
  const path = column.split('.')
  return path.length === 1 ? undefined : follow(fields, path, onFirst)
}

function follow(value: FieldValue | undefined, path: readonly string[], onFirst: () => void): FieldValue | undefined {
  const [name, ...rest] = path
  if (isList(value)) {
    const items = Array.from(value)
    if (name === '*') {
      const found = items.map(item => follow(item, rest, onFirst)).filter(item => item !== undefined)
      return found.length > 0 ? found : undefined
    }
    if (isNumber(name)) return follow(items[Number(name) - 1], rest, onFirst)
    if (items.length > 1) onFirst()
    return follow(items[0], path, onFirst)
  }
  if (name === undefined) return value
  return typeof value === 'object' && Object.hasOwn(value, name)
    ? follow((value as Fields)[name], rest, onFirst)
    : undefined
}

const isList = (value: FieldValue | undefined): value is readonly FieldValue[] =>
  typeof value === 'object' && Symbol.iterator in value

const isNumber = (name: string | undefined): boolean => name !== undefined && /^\d+$/.test(name)

/** Whether a path names one of these columns, or a group of them. */
export function isPathTo(columns: readonly string[], path: string): boolean {
  const names = path.split('.').filter((name, i) => i === 0 || !(name === '*' || isNumber(name)))
  const plain = names.join('.')
  return columns.some(column => column === plain || column.startsWith(`${plain}.`))
}

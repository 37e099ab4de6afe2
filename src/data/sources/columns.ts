import type { Fields, FieldValue } from '../preprocessor.js'

/**
 * The columns of a record: the names of its fields. A record inside it gives a path for each of its fields
 * (`translation.en`), and so does a list of records.
 */
export const columnsOf = (record: Fields): string[] =>
  Object.entries(record).flatMap(([name, value]) => {
    const inner = nestedRecord(value)
    const paths = inner === undefined ? [] : columnsOf(inner).map(column => `${name}.${column}`)
    return paths.length > 0 ? paths : [name]
  })

/** The record that a field holds, or the first of its list of records. */
function nestedRecord(value: FieldValue): Fields | undefined {
  if (typeof value !== 'object') return undefined
  if (Symbol.iterator in value) return Array.isArray(value) && value.length > 0 ? nestedRecord(value[0]) : undefined
  return value as Fields
}

import { FileError } from '../../base/errors.js'
import type { Fields, FieldValue } from '../preprocessor.js'
import type { RecordFormat } from './records.js'
import { cutLines, decodeLine, excerpt } from './text-lines.js'

/**
 * JSON Lines: each line is an object, whose keys are the fields. Blank lines are skipped, and keys with null left out.
 */
export const jsonLinesFormat: RecordFormat = {
  cut: cutLines,
  parse(bytes, where) {
    const line = decodeLine(bytes, where)
    if (line.trim() === '') return undefined
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (error) {
      throw new FileError(`${where}: not JSON: ${(error as Error).message}; each line must be one object`, {
        cause: error,
      })
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new FileError(
        `${where}: expected an object such as {"input": "...", "target": "..."}, got ${excerpt(line)}`,
      )
    return withoutNulls(value)
  },
}

/** A record without the keys whose value is null, which says that the value is missing. */
export function withoutNulls(record: object): Fields {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]: [string, unknown]) =>
      value === null || value === undefined ? [] : [[key, fieldValue(value)]],
    ),
  )
}

function fieldValue(value: unknown): FieldValue {
  if (Array.isArray(value))
    return value.flatMap(item => (item === null || item === undefined ? [] : [fieldValue(item)]))
  if (typeof value === 'object') return withoutNulls(value!)
  return value as string | number | boolean
}

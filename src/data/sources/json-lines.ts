import { randomUUID } from 'node:crypto'
import { FileError } from '../../base/errors.js'
import type { Fields, FieldValue } from '../preprocessor.js'
import type { RecordFormat } from './records.js'
import { cutLines, decodeText, excerpt } from './text-lines.js'

/**
 * JSON Lines: each line is an object, whose keys are the fields. Blank lines are skipped, and keys with null left out.
 */
export const jsonLinesFormat: RecordFormat = {
  cut: cutLines,
  parse(bytes, where) {
    const line = decodeText(bytes, where)
    if (line.trim() === '') return undefined
    let value: unknown
    try {
      value = parseJson(line)
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
  return value as string | number | bigint | boolean
}

/** A text of this form may hold an integer that a double cannot hold exactly: 2^53 has 16 digits. */
const LONG_INTEGER = /\d{16}/
/** A string, or a number, in JSON that is known to be right. */
const STRINGS_AND_NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g

/**
 * Parses JSON. Integers outside of the range in which doubles are exact become bigint, so that an id of 18 digits keeps
 * its last ones.
 */
function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!LONG_INTEGER.test(text)) return value
  const integers = new Map<string, bigint>()
  const marked = text.replaceAll(STRINGS_AND_NUMBERS, token => {
    if (!/^-?\d+$/.test(token) || Number.isSafeInteger(Number(token))) return token
    const mark = `bigint ${randomUUID()}`
    integers.set(mark, BigInt(token))
    return JSON.stringify(mark)
  })
  if (integers.size === 0) return value
  return JSON.parse(marked, (_, item: unknown) => (typeof item === 'string' ? (integers.get(item) ?? item) : item))
}

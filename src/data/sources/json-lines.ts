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
      value = JSON.parse(line)
    } catch (error) {
      throw new FileError(`${where}: not JSON: ${(error as Error).message}; each line must be one object`, {
        cause: error,
      })
    }
    if (LONG_INTEGER.test(line)) value = exactIntegers(line, value)
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new FileError(
        `${where}: expected an object such as {"input": "...", "target": "..."}, got ${excerpt(line)}`,
      )
    return withoutNulls(value)
  },
}

/** A record without the keys whose value is null, which says that the value is missing. */
function withoutNulls(record: object): Fields {
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
/** The beginning of a string, or a number, in JSON that is known to be right. */
const STRING_OR_NUMBER = /"|-?\d[\d.eE+-]*/g

/**
 * The value of JSON whose integers outside of the range in which doubles are exact are bigint, so that an id of 18
 * digits keeps its last ones. `parsed` is the value as `JSON.parse` gives it, returned if there are no such integers.
 */
function exactIntegers(json: string, parsed: unknown): unknown {
  const integers = new Map<string, bigint>()
  const parts: string[] = []
  let copied = 0
  const tokens = new RegExp(STRING_OR_NUMBER)
  for (let match = tokens.exec(json); match !== null; match = tokens.exec(json)) {
    const [token] = match
    if (token === '"') {
      tokens.lastIndex = endOfString(json, match.index)
    } else if (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) {
      const mark = `bigint ${randomUUID()}`
      integers.set(mark, BigInt(token))
      parts.push(json.slice(copied, match.index), JSON.stringify(mark))
      copied = tokens.lastIndex
    }
  }
  if (integers.size === 0) return parsed
  const marked = parts.join('') + json.slice(copied)
  return JSON.parse(marked, (_, item: unknown) => (typeof item === 'string' ? (integers.get(item) ?? item) : item))
}

/** The index after the string that begins at `start`. A regular expression would overflow its stack on a long one. */
function endOfString(json: string, start: number): number {
  let quote = start
  let escapes: number
  do {
    quote = json.indexOf('"', quote + 1)
    escapes = 0
    while (json[quote - 1 - escapes] === '\\') escapes++
  } while (escapes % 2 === 1)
  return quote + 1
}

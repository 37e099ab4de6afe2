import { ConfigError } from '../../../base/errors.js'
import { pythonInt } from '../../../text/python-text.js'
import type { Preprocessor } from '../../preprocessor.js'
import { eachExample, textAt } from './fields.js'

export interface ParseTsvOptions {
  /** Default: `inputs` and `targets`. */
  readonly fieldNames?: readonly string[]
  /** Default: a tab. */
  readonly fieldDelim?: string
  /** The column of each field, from 0, in ascending order. Default: the first columns. */
  readonly fieldColumns?: readonly number[]
  /** The field that holds the line. Default: `text`, as `textLineSource` has it. */
  readonly lineKey?: string
}

/**
 * T5's `parse_tsv`: a line becomes a record of its fields. Quotation marks are ordinary characters. Further columns are
 * ignored; a line with too few is a ConfigError.
 */
export function parseTsv({
  fieldNames = ['inputs', 'targets'],
  fieldDelim = '\t',
  fieldColumns = fieldNames.map((_, i) => i),
  lineKey = 'text',
}: ParseTsvOptions = {}): Preprocessor {
  const name = 'parseTsv'
  if (
    fieldColumns.length !== fieldNames.length ||
    fieldColumns.some((column, i) => column <= (fieldColumns[i - 1] ?? -1))
  )
    throw new ConfigError(
      `${name}: the columns ${fieldColumns.join(', ')} should be ${fieldNames.length} numbers from 0 in ascending order`,
    )
  return eachExample(name, example => {
    const line = textAt(example, lineKey, name)
    const fields = splitFields(line, { delimiter: fieldDelim, quotes: false, last: fieldColumns.at(-1)!, name })
    return Object.fromEntries(
      fieldNames.map((field, i) => {
        const value = fields[fieldColumns[i]]
        if (value === undefined) throw tooFew(name, fieldColumns.at(-1)! + 1, fields.length, line)
        return [field, value]
      }),
    )
  })
}

export interface PreprocessTsvOptions {
  /** Default: a tab. */
  readonly fieldDelim?: string
  /** How many fields each line has, if `fieldNames` does not tell. Default: 2. */
  readonly numFields?: number
  /** With `{0}` or, if `fieldNames` are given, `{name}` in the place of a field. Default: `{0}`. */
  readonly inputsFormat?: string
  /** Default: `{1}`. */
  readonly targetsFormat?: string
  readonly fieldNames?: readonly string[]
  /** Whether a field may be in quotation marks, which then may hold delimiters. Default: false. */
  readonly useQuoteDelim?: boolean
  readonly lineKey?: string
}

/**
 * T5's `preprocess_tsv`: inputs and targets from the fields of a line. A line with another number of fields is an
 * error.
 */
export function preprocessTsv({
  fieldDelim = '\t',
  numFields = 2,
  inputsFormat = '{0}',
  targetsFormat = '{1}',
  fieldNames,
  useQuoteDelim = false,
  lineKey = 'text',
}: PreprocessTsvOptions = {}): Preprocessor {
  const name = 'preprocessTsv'
  const count = fieldNames?.length ?? numFields
  return eachExample(name, example => {
    const line = textAt(example, lineKey, name)
    const fields = splitFields(line, { delimiter: fieldDelim, quotes: useQuoteDelim, name })
    if (fields.length !== count) throw tooFew(name, count, fields.length, line)
    return {
      inputs: fillIn(inputsFormat, fields, fieldNames, name),
      targets: fillIn(targetsFormat, fields, fieldNames, name),
    }
  })
}

const tooFew = (name: string, expected: number, found: number, line: string): ConfigError =>
  new ConfigError(
    `${name}: expected ${expected} fields, but found ${found} in the line ${JSON.stringify(line.slice(0, 80))}`,
  )

/** Replaces placeholders by fields: numbers in braces or, with `names`, names in braces. */
function fillIn(format: string, fields: readonly string[], names: readonly string[] | undefined, name: string): string {
  const field = (index: number | undefined, placeholder: string): string => {
    const value = index === undefined ? undefined : fields[index]
    if (value === undefined) throw new ConfigError(`${name}: there is no field ${placeholder} among ${fields.length}`)
    return value
  }
  if (names === undefined)
    return format.replace(/\{(\p{Nd}+)\}/gu, (placeholder, number: string) => field(pythonInt(number), placeholder))
  return names.length === 0
    ? format
    : format.replace(/\{([^{}]*)\}/g, (placeholder, key: string) =>
        names.includes(key) ? field(names.indexOf(key), placeholder) : placeholder,
      )
}

/**
 * The fields of a line as TensorFlow's `decode_csv` cuts them, up to field `last`. Line ends before a field are
 * skipped; elsewhere they are an error, as is a quotation mark within an unquoted field if `quotes` is true.
 */
function splitFields(
  line: string,
  { delimiter, quotes, last = Infinity, name }: { delimiter: string; quotes: boolean; last?: number; name: string },
): string[] {
  const fields: string[] = []
  const fail = (problem: string): ConfigError =>
    new ConfigError(`${name}: ${problem}: ${JSON.stringify(line.slice(0, 80))}`)
  let at = 0
  while (at < line.length && fields.length <= last) {
    if (line[at] === '\n' || line[at] === '\r') {
      at++
    } else if (quotes && line[at] === '"') {
      let field = ''
      at++
      while (at < line.length - 1 && (line[at] !== '"' || line[at + 1] !== delimiter)) {
        if (line[at] === '"' && line[at + 1] !== '"')
          throw fail('a quotation mark in a quoted field must be written twice, in the line')
        field += line[at]
        at += line[at] === '"' ? 2 : 1
      }
      if (line[at] !== '"') throw fail('a quoted field is not closed, in the line')
      fields.push(field)
      at += 2
    } else {
      const end = line.indexOf(delimiter, at)
      const field = line.slice(at, end < 0 ? line.length : end)
      if (/[\n\r]/.test(field) || (quotes && field.includes('"')))
        throw fail('a field without quotation marks holds a line end or a quotation mark, in the line')
      fields.push(field)
      at += field.length + 1
    }
  }
  if (line.endsWith(delimiter) && fields.length <= last) fields.push('')
  return fields
}

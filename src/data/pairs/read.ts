import { ConfigError, FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import type { Fields, FieldValue } from '../preprocessor.js'
import { keptByHash, mergeInputs, splitOf } from '../example.js'
import type { Example, SplitName } from '../example.js'
import { openDataFile } from '../sources/data-file.js'
import type { DataFile } from '../sources/data-file.js'
import type { DelimitedOptions } from '../sources/delimited/delimited.js'
import { findFiles } from '../sources/find-files.js'
import { openIndexedFiles } from '../sources/indexed-files.js'
import type { RecordFormat } from '../sources/records.js'
import { chooseColumns, findColumn } from './columns.js'
import { valueAt } from './nested.js'
import type { PairColumns } from './columns.js'
import type { PairsSettings } from './settings.js'
import { labelOf, splitNamed, unknownProblems, unknownValuesOf } from './labels-and-splits.js'
import type { Unknown, UnknownValues } from './labels-and-splits.js'

export interface PairsData {
  /** The examples of each split, in the order of the files. */
  readonly examples: Readonly<Record<SplitName, readonly Example[]>>
  readonly columns: PairColumns
  /** What was recognized in each file, for a user. */
  readonly notes: readonly string[]
  /** SHA-256 of the content of the files, without those of other splits. */
  readonly digest: string | undefined
}

/**
 * Reads the pairs of texts that the settings describe. Texts lose the spaces around them. Throws a ConfigError or a
 * FileError that names the file and the first wrong lines.
 */
export async function readPairs(settings: PairsSettings): Promise<PairsData> {
  const main = await readFiles(settings.path, settings)
  const given = {
    validation: settings.validation === null ? undefined : await readFiles(settings.validation, settings),
    test: settings.test === null ? undefined : await readFiles(settings.test, settings),
  }
  const isGiven = {
    validation: given.validation !== undefined || main.pairs.some(pair => pair.split === 'validation'),
    test: given.test !== undefined || main.pairs.some(pair => pair.split === 'test'),
  }
  const examples = splitPairs(main.pairs, given.validation?.pairs, given.test?.pairs, isGiven)
  const kept = {
    validation: isGiven.validation ? undefined : examples.validation.length,
    test: isGiven.test ? undefined : examples.test.length,
  }
  const all = examples.train.length + (kept.validation ?? 0) + (kept.test ?? 0)
  const others = 'by a hash of the input (--test, --validation and --split choose others)'
  return {
    columns: main.columns,
    digest: main.digest,
    examples,
    notes: [
      ...[main, given.validation, given.test].flatMap(file => file?.notes ?? []),
      ...keptByHash(all, kept, others).map(note => `${settings.path}: ${note}`),
    ],
  }
}

/**
 * Reads the pairs of texts of one file (or pattern) in its order, without splits: all, or those of one split by the
 * split column.
 */
export async function readAllPairs(
  settings: PairsSettings,
  only?: SplitName,
): Promise<Pick<PairsData, 'notes' | 'digest'> & { examples: Example[] }> {
  const { pairs, notes, digest } = await readFiles(settings.path, settings)
  const chosen = only === undefined ? pairs : pairs.filter(({ split }) => split === only)
  return { examples: mergeInputs(chosen.map(exampleOf)), notes, digest }
}

/** The columns of the first of the files that the settings name. The columns that they name tell a header line. */
export async function columnsIn({ path, header, delimiter, quotes, ...settings }: PairsSettings): Promise<string[]> {
  let columns: readonly string[] | undefined
  const { input, target, split } = settings
  const [first] = await findFiles(path)
  const file = await openDataFile(first, {
    named: [input, target, split].filter(name => name !== null),
    ...formOf({ header, delimiter, quotes }),
    select: all => Promise.resolve((columns = all).slice(0, 1)),
  })
  return [...(columns ?? file.columns)]
}

/** What the settings say about the form of a CSV file. */
const formOf = ({
  header,
  delimiter,
  quotes,
}: Pick<PairsSettings, 'header' | 'delimiter' | 'quotes'>): DelimitedOptions => ({
  ...(header !== null && { header }),
  ...(delimiter !== null && { delimiter }),
  ...(quotes !== null && { quoted: quotes }),
})

/** An example, and the split that a column puts it in. */
interface Pair {
  readonly input: string
  readonly target: string
  readonly split: SplitName | undefined
}

interface PairFiles {
  readonly pairs: readonly Pair[]
  readonly columns: PairColumns
  readonly notes: readonly string[]
  readonly digest: string | undefined
}

async function readFiles(pattern: string, settings: PairsSettings): Promise<PairFiles> {
  const { input, target, split, skipBadRows } = settings
  const named = [input, target, split].filter(name => name !== null)
  const files: DataFile[] = []
  const formats: RecordFormat[] = []
  const notes: string[] = []
  const shortened = new Set<string>()
  const unknown = unknownValuesOf(settings)
  let columns: PairColumns | undefined
  for (const name of await findFiles(pattern)) {
    const file = await openDataFile(name, {
      named,
      ...formOf(settings),
      select: async (all, sample) => {
        const chosen = await chooseColumns(name, all, settings, sample)
        return [chosen.input, chosen.target, ...(split === null ? [] : [findColumn(name, all, split)])]
      },
    })
    notes.push(...file.notes)
    if (file.isHeaderOnly) notes.push(`${name}: ${headerOnly(file)}`)
    if (file.columns.length === 0 || file.isHeaderOnly) continue
    const chosen = await chooseColumns(name, file.columns, settings, file.sample)
    columns ??= chosen
    files.push(file)
    formats.push(pairFormat(file, chosen, settings, { shortened, unknown }))
    notes.push(`${name}: ${file.description}; input: ${columnText(chosen.input)}, target: ${columnText(chosen.target)}`)
  }
  // A pattern may find a file without rows among others.
  if (files.length === 0) throw new FileError(notes.length > 0 ? notes.join('\n') : `${pattern}: ${NO_ROWS}`)
  const dataset = await openIndexedFiles(
    files.map(file => file.path),
    file => formats[file],
    { names: files.map(file => file.name), skipBadRows },
  )
  const unknownValues = unknownProblems(pattern, unknown, settings)
  if (unknownValues.length > 0 && !skipBadRows) {
    dataset.close()
    throw new ConfigError(unknownValues.join('\n'))
  }
  const pairs: Pair[] = []
  for (let i = 0; i < dataset.length; i++) pairs.push(dataset.get(i) as unknown as Pair)
  dataset.close()
  return {
    pairs,
    columns: columns ?? { input: '1', target: '2' },
    digest: dataset.digest,
    notes: [
      ...summed(notes),
      ...(dataset.notes ?? []),
      ...unknownValues.map(problem => `warning: ${problem}`),
      ...shortenedNotes(shortened),
    ],
  }
}

/** Names of columns are quoted, numbers are not. */
export const columnText = (column: string): string => (/^\d+$/.test(column) ? `column ${column}` : `"${column}"`)

/** Of many files, the first few notes stand for all. */
const summed = (notes: readonly string[]): readonly string[] =>
  notes.length <= 4 ? notes : [...notes.slice(0, 3), `... and ${formatCount(notes.length - 3)} more such lines`]

/** The format of a file, with records made into pairs. */
function pairFormat(
  file: DataFile,
  { input, target }: PairColumns,
  { split, labels, skipBadRows }: PairsSettings,
  { shortened, unknown }: { shortened: Set<string>; unknown: Unknown },
): RecordFormat {
  const text = (fields: Fields, column: string, what: string): string =>
    textOf(fields, column, `${what} (${columnText(column)})`, shortened)
  const splitColumn = split === null ? undefined : findColumn(file.name, file.columns, split)
  // Rows with an unknown value are bad rows only if these are left out. Otherwise their values are reported at the end.
  const found = <V>(value: V | undefined, text: string, where: string, values: UnknownValues): V | undefined => {
    if (value !== undefined) return value
    values.add(text, where)
    if (skipBadRows) throw new FileError(`${where}: ${values.problemOf(text)}`)
    return undefined
  }
  return {
    cut: (chunks, path) => file.format.cut(chunks, path),
    parse(bytes, where) {
      const fields = file.format.parse(bytes, where)
      if (fields === undefined) return undefined
      const answered = text(fields, input, `${where}: the input`)
      const label = text(fields, target, `${where}: the target`)
      const named = splitColumn === undefined ? undefined : text(fields, splitColumn, `${where}: the split`)
      const taken = named === undefined ? undefined : found(splitNamed(named), named, where, unknown.splits)
      return {
        input: answered,
        target: found(labelOf(label, labels), label, where, unknown.labels) ?? label,
        ...(taken !== undefined && { split: taken }),
      }
    },
  }
}

/** For messages about files of which nothing can be used. */
export const NO_ROWS =
  'this file has no rows, or only empty lines; each must be: input TAB target, or a record of CSV, JSON Lines or Parquet'

/** What is wrong with a file that names its columns and has no rows. */
export const headerOnly = ({ columns, description }: Pick<DataFile, 'columns' | 'description'>): string =>
  `this file has a header (${columns.join(', ')}) and no rows${description === 'Parquet' ? '' : '; if its only line is an example, say --no-header'}`

/** Says of which columns lists were cut to their first items. */
export const shortenedNotes = (columns: ReadonlySet<string>): string[] =>
  Array.from(
    columns,
    column => `the first item of each list in "${column}" is taken; "${column}.2" is the second, and "${column}.*" all`,
  )

/**
 * The text of a column (see `valueAt`). A list, such as of words or tags, is joined by spaces. The column is added to
 * `shortened` if the first of several items was taken.
 */
export function textOf(fields: Fields, column: string, what: string, shortened?: Set<string>): string {
  const value = valueAt(fields, column, () => shortened?.add(column))
  const text = value === undefined ? '' : plainText(value, what).trim()
  if (text === '') throw new FileError(`${what} is ${value === undefined ? 'missing' : 'empty'}`)
  return text
}

function plainText(value: FieldValue, what: string): string {
  if (typeof value !== 'object') return String(value)
  if (Symbol.iterator in value)
    return Array.from(value as Iterable<FieldValue>, item => plainText(item, what)).join(' ')
  throw new FileError(
    `${what} is a record with the fields ${Object.keys(value).join(', ')}: name one of them, with a dot before it`,
  )
}

/**
 * The splits: by files, by the column, and for splits that neither gives, by the hash of the input. The hash is taken
 * among the examples that would otherwise be trained on.
 */
function splitPairs(
  main: readonly Pair[],
  validation: readonly Pair[] | undefined,
  test: readonly Pair[] | undefined,
  given: Readonly<Record<'validation' | 'test', boolean>>,
): Record<SplitName, Example[]> {
  const splits: Record<SplitName, Example[]> = {
    train: [],
    validation: (validation ?? []).map(exampleOf),
    test: (test ?? []).map(exampleOf),
  }
  for (const pair of main) {
    const hashed = splitOf(pair.input)
    const taken = pair.split ?? 'train'
    splits[taken !== 'train' || hashed === 'train' || given[hashed] ? taken : hashed].push(exampleOf(pair))
  }
  return splits
}

const exampleOf = ({ input, target }: Pair): Example => ({ input, target, alternatives: [] })

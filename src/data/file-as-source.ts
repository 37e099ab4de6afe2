import { ConfigError, FileError } from '../base/errors.js'
import type { Example } from './example.js'
import { fieldNeeds, likeSource } from './field-needs.js'
import type { Side } from './field-needs.js'
import { chooseInput, findColumn } from './pairs/columns.js'
import { headerOnly, NO_ROWS } from './pairs/read.js'
import { isPathTo, valueAt } from './pairs/nested.js'
import type { Fields, FieldValue } from './preprocessor.js'
import { openDataFile } from './sources/data-file.js'
import type { DataFile, DataFileOptions } from './sources/data-file.js'
import { fieldsAsText } from './returned.js'
import { findFiles } from './sources/find-files.js'
import { openIndexedFiles } from './sources/indexed-files.js'
import { excerpt } from './sources/text-lines.js'
import type { FieldNeed } from './saved-data.js'
import type { Task } from './task.js'

/** A file to read, and what the user says about it. */
export interface FileAsSource {
  /** The file, or a glob pattern for several. */
  readonly path: string
  /** The columns in the place of the fields that the task makes its inputs and its targets of. */
  readonly input?: string
  readonly target?: string
  /** As in `DataFileOptions`. Default: recognized. */
  readonly header?: boolean
  readonly delimiter?: string
  readonly quotes?: boolean
  readonly skipBadRows?: boolean
}

/** A file's examples, as a task's preprocessors make them. */
export interface ExamplesOfFile {
  readonly examples: readonly Example[]
  /** What was recognized, for a user. */
  readonly notes: readonly string[]
  /** SHA-256 of the file's content. */
  readonly digest: string | undefined
}

/**
 * Reads a file as a task reads its own source: its columns are the fields of the source, and the task's preprocessors
 * make the examples. `sides` says what is needed of them: without `target`, the file may lack the columns of the
 * targets. If a side is made of one field alone, another column can take its place. A column that the asked sides do
 * not depend on may be missing: if there is no example without it, all rows get a value of the source, and a note says
 * so. `source` are the fields of the task's source, of which nothing is read if they are given. Undefined if the task
 * has no preprocessors, or no texts. Throws a ConfigError that names the missing columns.
 */
export async function readAsSource(
  task: Task,
  file: FileAsSource,
  sides: readonly Side[],
  source: readonly FieldNeed[] = fieldNeeds(task),
): Promise<ExamplesOfFile | undefined> {
  if (!source.some(({ input }) => input)) return undefined
  const columns = source.map(({ name }) => name)
  const types = new Map(source.map(({ name, type }) => [name, type]))
  const needs = Object.fromEntries(sides.map(side => [side, neededBy(side, source)])) as Needs
  const opened = await Promise.all(
    (await findFiles(file.path)).map(name =>
      openAs(
        name,
        file,
        columns,
        sides.flatMap(side => file[side] ?? needs[side]!),
      ),
    ),
  )
  const notes: string[] = []
  const allPlaces = await Promise.all(opened.map(one => placesOf(task.name, one, file, source, needs)))
  const formats = opened.map((one, index) => {
    const places = allPlaces[index]
    notes.push(...one.notes, `${one.name}: ${one.description}; read as the task ${task.name}${placesText(places)}`)
    // Without rows, nothing is filled.
    const filled = one.isHeaderOnly
      ? []
      : filledFor(source, needs).filter(({ name }) => !places.has(name) && !isPathTo(one.columns, name))
    const own = Object.fromEntries(filled.map(({ name, value }): [string, FieldValue] => [name, value as FieldValue]))
    for (const column of Object.keys(own)) notes.push(filledNote(one.name, column, own[column]))
    return {
      ...one.format,
      cut: one.format.cut.bind(one.format),
      parse(bytes: Uint8Array, where: string): Fields | undefined {
        const fields = one.format.parse(bytes, where)
        if (fields === undefined) return undefined
        const moved = [...places].map(([column, from]): [string, FieldValue] => {
          const value = valueAt(fields, from)
          if (value === undefined) throw new FileError(`${where}: there is no "${from}"`)
          return [column, value]
        })
        const all = Object.entries({ ...own, ...fields, ...Object.fromEntries(moved) })
        return Object.fromEntries(all.map(([column, value]) => [column, likeSource(types.get(column), value)]))
      },
    }
  })
  const records = await openIndexedFiles(
    opened.map(({ path }) => path),
    index => formats[index],
    { names: opened.map(({ name }) => name), skipBadRows: file.skipBadRows },
  )
  notes.push(...(records.notes ?? []))
  try {
    if (records.length === 0) {
      const headers = opened.filter(one => one.isHeaderOnly).map(one => `${one.name}: ${headerOnly(one)}`)
      throw new FileError(headers.length > 0 ? headers.join('\n') : `${file.path}: ${NO_ROWS}`)
    }
    const examples = task.examplesOf!(records)
    if (examples.length !== records.length)
      notes.push(`the preprocessors of ${task.name} made ${examples.length} examples of ${records.length} rows`)
    return { examples, notes, digest: records.digest }
  } finally {
    records.close()
  }
}

/**
 * Opens a file. `columns` are those of the source: they tell lines of text, and files without a header. `named` are the
 * needed ones, which tell a header.
 */
async function openAs(
  name: string,
  { header, delimiter, quotes }: FileAsSource,
  columns: readonly string[],
  named: readonly string[],
): Promise<DataFile> {
  const isNumbered = columns.every(column => /^\d+$/.test(column))
  const options: DataFileOptions = {
    named,
    header: header ?? (isNumbered ? false : undefined),
    delimiter,
    quoted: quotes,
  }
  const areLines = columns.length === 1 && columns[0] === 'text' && /\.(txt|text)(\.gz)?$/i.test(name)
  return openDataFile(name, areLines ? { ...options, format: 'lines' } : options)
}

/**
 * Which columns of the file take the place of fields: those that are given, and for a side that is made of one field
 * which the file lacks, the column that is recognized.
 */
async function placesOf(
  task: string,
  { name, columns, sample, isHeaderOnly }: DataFile,
  given: FileAsSource,
  source: readonly FieldNeed[],
  needs: Needs,
): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>()
  const all = source.map(({ name }) => name)
  // Of a file without rows, no column is used.
  if (isHeaderOnly) return places
  const lacking = (wanted: readonly string[]): string[] =>
    wanted.filter(column => !isPathTo(columns, column) && !places.has(column))
  for (const [side, needed] of Object.entries(needs) as [Side, readonly string[]][]) {
    const wanted = given[side]
    // If it is not known what a side is made of, only a file with all fields of the source is as the task's own.
    const missing = lacking(needed.length > 0 ? needed : all)
    if (wanted === undefined && missing.length === 0) continue
    const fields = needed.length > 0 ? quoted(needed) : 'no column of its source'
    const whole = `the task ${task} makes its ${side}s of ${fields}`
    // Fields of which it is not clear what depends on them have no other column in their place.
    const clear = source.filter(field => field[side]).map(({ name }) => name)
    const [field, ...more] = clear.length > 0 ? clear : needed
    const besides = missing.filter(column => column !== field)
    if (field === undefined)
      throw new ConfigError(
        wanted === undefined
          ? `${name}: ${whole} as far as its examples show, so a file needs all columns of the source: it lacks ${quoted(missing)}`
          : `--${side} ${wanted}: ${whole} as far as its examples show: leave the option out, and give ${name} the columns of the source, ${quoted(all)}`,
      )
    if (more.length > 0 || besides.length > 0)
      throw new ConfigError(
        wanted === undefined || more.length === 0
          ? `${name}: ${whole}, and this file has no column ${quoted(missing)}; it has ${columns.join(', ')}`
          : `--${side} ${wanted}: ${whole}: no single column can take their place, so name the columns of ${name} as the task does`,
      )
    const isUnnamedPair = columns.join() === '1,2'
    if (wanted !== undefined) places.set(field, findColumn(name, columns, wanted))
    else if (side === 'input') places.set(field, await chooseInput(name, columns, null, sample))
    else if (isUnnamedPair) places.set(field, '2')
    else
      throw new ConfigError(
        `${name}: ${whole}, and this file has no such column: name the one with the right answers, as in --target ${columns.at(-1)}`,
      )
  }
  return places
}

const quoted = (columns: readonly string[]): string => columns.map(column => `"${column}"`).join(', ')

/** The fields of the source that each asked side is made of. */
type Needs = Partial<Record<Side, readonly string[]>>

/**
 * The fields that a side of the examples is made of. A target may also depend on fields of which this is not clear:
 * they are needed, so that no target is invented.
 */
const neededBy = (side: Side, source: readonly FieldNeed[]): readonly string[] =>
  source.filter(field => field[side] || (side === 'target' && field.unclear)).map(({ name }) => name)

/** The fields that no asked side is made of, and without which there may be no example. */
function filledFor(source: readonly FieldNeed[], needs: Needs): readonly FieldNeed[] {
  const asked = Object.values(needs).flat()
  return source.filter(({ name, required, value }) => required && value !== undefined && !asked.includes(name))
}

const filledNote = (file: string, column: string, value: FieldValue): string =>
  `${file} has no column "${column}": all its rows get the value of the first record of the task's source, ${excerpt(fieldsAsText({ [column]: value }))}`

const placesText = (places: ReadonlyMap<string, string>): string =>
  [...places].map(([column, from]) => `, "${from}" as its "${column}"`).join('')

import { ConfigError, FileError } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import type { Example } from './example.js'
import { chooseInput, findColumn } from './pairs/columns.js'
import { headerOnly, NO_ROWS } from './pairs/read.js'
import { isPathTo, valueAt } from './pairs/nested.js'
import type { Fields, FieldValue } from './preprocessor.js'
import { openDataFile } from './sources/data-file.js'
import type { DataFile, DataFileOptions } from './sources/data-file.js'
import { findFiles } from './sources/find-files.js'
import { openIndexedFiles } from './sources/indexed-files.js'
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
}

/**
 * Reads a file as a task reads its own source: its columns are the fields of the source, and the task's preprocessors
 * make the examples. `sides` says what is needed of them: without `target`, the file may lack the columns of the
 * targets. If the inputs are made of one field alone, another column can take its place. Undefined if the task has no
 * preprocessors, or no texts. Throws a ConfigError that names the missing columns.
 */
export async function readAsSource(
  task: Task,
  file: FileAsSource,
  sides: readonly Side[],
): Promise<ExamplesOfFile | undefined> {
  const source = task.examplesOf && sampleOf(task)
  if (source === undefined || source.length === 0) return undefined
  const columns = [...new Set(source.flatMap(record => Object.keys(record)))]
  const needs = Object.fromEntries(
    sides.map(side => [side, columns.filter(column => isNeeded(task, source, column, side))]),
  ) as Partial<Record<Side, string[]>>
  if (needs.input?.length === 0) return undefined
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
  const allPlaces = await Promise.all(opened.map(one => placesOf(task.name, one, file, needs)))
  const formats = opened.map((one, index) => {
    const places = allPlaces[index]
    notes.push(...one.notes, `${one.name}: ${one.description}; read as the task ${task.name}${placesText(places)}`)
    const present = columns.filter(column => !places.has(column) && isPathTo(one.columns, column))
    // Fields that the examples do not depend on are those of the source's first record where the file has none.
    const lacking = columns.filter(column => !places.has(column) && !present.includes(column))
    const filled = Object.fromEntries(lacking.flatMap(column => fieldOf(source, column)))
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
        const own = Object.entries({ ...filled, ...fields, ...Object.fromEntries(moved) })
        return Object.fromEntries(own.map(([column, value]) => [column, likeOwn(source, column, value)]))
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
    return { examples, notes }
  } finally {
    records.close()
  }
}

type Side = 'input' | 'target'

/** So many of the source's records, evenly spaced, show its fields. */
const SAMPLE = 16

/** Some records of the task's own source; undefined if it makes no texts of them. */
function sampleOf(task: Task): readonly Fields[] | undefined {
  const [stage] = task.stages?.('train') ?? []
  const length = stage?.examples.length ?? 0
  const count = Math.min(SAMPLE, length)
  const records = Array.from({ length: count }, (_, i) => stage.examples.get(Math.floor((i * length) / count)))
  return task.examplesOf!(listed(records)).length > 0 ? records : undefined
}

const listed = (records: readonly Fields[]): Dataset<Fields> => ({ length: records.length, get: i => records[i] })

/** Whether a side of the task's examples changes if a field of its source's records has another record's value. */
function isNeeded(task: Task, records: readonly Fields[], column: string, side: Side): boolean {
  return records.some((record, i) => {
    const other = records[(i + 1) % records.length]
    const { [column]: own, ...rest } = record
    if (own === undefined) return false
    const changed = other[column] === undefined ? rest : { ...rest, [column]: other[column] }
    return textOf(task, changed, side) !== textOf(task, record, side)
  })
}

/** A text of the example that a record becomes; undefined if it becomes none. */
function textOf(task: Task, record: Fields, side: Side): string | undefined {
  try {
    return task.examplesOf!(listed([record]))[0]?.[side]
  } catch {
    return undefined
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
  needs: Partial<Record<Side, readonly string[]>>,
): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>()
  // Of a file without rows, no column is used.
  if (isHeaderOnly) return places
  for (const [side, needed] of Object.entries(needs) as [Side, readonly string[]][]) {
    const wanted = given[side]
    const missing = needed.filter(column => !isPathTo(columns, column) && !places.has(column))
    if (wanted === undefined && missing.length === 0) continue
    const whole = `the task ${task} makes its ${side}s of ${needed.map(column => `"${column}"`).join(', ')}`
    if (needed.length !== 1)
      throw new ConfigError(
        wanted === undefined
          ? `${name}: ${whole}, and this file has no column ${missing.map(column => `"${column}"`).join(', ')}; it has ${columns.join(', ')}`
          : `--${side} ${wanted}: ${whole}: no single column can take their place, so name the columns of ${name} as the task does`,
      )
    if (wanted === undefined && side === 'target')
      throw new ConfigError(
        `${name}: ${whole}, and this file has no such column: name the one with the right answers, as in --target ${columns.at(-1)}`,
      )
    places.set(
      needed[0],
      wanted === undefined ? await chooseInput(name, columns, null, sample) : findColumn(name, columns, wanted),
    )
  }
  return places
}

const placesText = (places: ReadonlyMap<string, string>): string =>
  [...places].map(([column, from]) => `, "${from}" as its "${column}"`).join('')

/** The value of a field in the first record that has it, as an entry. */
function fieldOf(records: readonly Fields[], column: string): [string, FieldValue][] {
  const found = records.find(record => record[column] !== undefined)
  return found === undefined ? [] : [[column, found[column]]]
}

/** A value as the source has it: the numbers of a CSV file are texts. */
function likeOwn(records: readonly Fields[], column: string, value: FieldValue): FieldValue {
  if (typeof value !== 'string' || value.trim() === '') return value
  const [[, own] = []] = fieldOf(records, column)
  if (typeof own === 'number' && !Number.isNaN(Number(value))) return Number(value)
  if (typeof own === 'bigint' && /^-?\d+$/.test(value)) return BigInt(value)
  return typeof own === 'boolean' && /^(true|false)$/i.test(value) ? value.toLowerCase() === 'true' : value
}

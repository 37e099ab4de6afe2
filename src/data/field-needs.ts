import { datasetOf, spreadExamples } from './dataset.js'
import type { Example } from './example.js'
import type { Fields, FieldValue } from './preprocessor.js'
import type { FieldNeed, FieldType } from './saved-data.js'
import type { Task } from './task.js'

/** The input or the target of an example. */
export type Side = 'input' | 'target'

/** So many records, evenly spaced, are changed to see what depends on their fields. */
const CHANGED = 16

/** So many records, evenly spaced, are searched for other values of a field, and so many values of each are tried. */
const SEARCHED = 1024
const MOST_VALUES = 16

/**
 * Finds out which fields of its source a task makes its inputs and targets of: in some records, each field is left out,
 * gets values that the source does not have, and other values of the source; what changes then depends on the field.
 * None if the task makes no texts of its source.
 */
export function fieldNeeds(task: Task): FieldNeed[] {
  const [stage] = task.stages?.('train') ?? []
  if (task.examplesOf === undefined || stage === undefined) return []
  const records = spreadExamples(stage.examples, CHANGED)
  if (records.length === 0 || task.examplesOf(datasetOf(records)).length === 0) return []
  const values = valuesIn([...records, ...spreadExamples(stage.examples, SEARCHED)])
  return Array.from(values, ([name, known]) => {
    const { input, target, none, required } = effectOf(task, records, name, known)
    return {
      name,
      type: typeOf(known[0]),
      input,
      target,
      unclear: none && !input && !target,
      required,
      ...(required && !input && { value: beginningOf(known[0]) }),
    }
  })
}

function typeOf(value: FieldValue): FieldType {
  if (value instanceof Int32Array) return 'ints'
  if (value instanceof Float32Array) return 'floats'
  const type = typeof value
  return type === 'string' ? 'text' : type === 'number' || type === 'bigint' || type === 'boolean' ? type : 'other'
}

const MOST_CHARACTERS = 200
const MOST_ITEMS = 50

/** The beginning of a value, as JSON. `likeSource` gives it the type of the source's values. */
function beginningOf(value: FieldValue): NonNullable<FieldNeed['value']> {
  if (typeof value === 'string') return value.slice(0, MOST_CHARACTERS)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return value
  if (Symbol.iterator in value)
    return Array.from(value as Iterable<FieldValue>)
      .slice(0, MOST_ITEMS)
      .map(beginningOf)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, beginningOf(item)]))
}

/** A value as the source has it: the numbers of a CSV file are texts, those of JSON are in plain lists. */
export function likeSource(type: FieldType | undefined, value: FieldValue): FieldValue {
  if (Array.isArray(value)) {
    if (type === 'ints') return Int32Array.from(value as number[])
    return type === 'floats' ? Float32Array.from(value as number[]) : (value as readonly FieldValue[])
  }
  if (typeof value !== 'string' || value.trim() === '') return value
  if (type === 'number' && !Number.isNaN(Number(value))) return Number(value)
  if (type === 'bigint' && /^-?\d+$/.test(value)) return BigInt(value)
  return type === 'boolean' && /^(true|false)$/i.test(value) ? value.toLowerCase() === 'true' : value
}

/** What depends on a field: the input, the target, or whether there is an example. */
interface Effect {
  input: boolean
  target: boolean
  none: boolean
  /** Whether there is no example without the field. */
  required: boolean
}

function effectOf(task: Task, records: readonly Fields[], column: string, values: readonly FieldValue[]): Effect {
  const effect: Effect = { input: false, target: false, none: false, required: false }
  for (const record of records) {
    const example = exampleOf(task, record)
    if (example === undefined) continue
    const { [column]: own, ...rest } = record
    const changed = own === undefined ? values : [...perturbed(own), ...values]
    for (const other of [rest, ...changed.map(value => ({ ...rest, [column]: value }))]) {
      const found = exampleOf(task, other)
      effect.none ||= found === undefined
      effect.required ||= found === undefined && other === rest
      effect.input ||= found !== undefined && found.input !== example.input
      effect.target ||= found !== undefined && targetsOf(found) !== targetsOf(example)
    }
  }
  return effect
}

const targetsOf = ({ target, alternatives = [] }: Example): string => JSON.stringify([target, ...alternatives])

/** The example that a record becomes; undefined if it becomes none. */
function exampleOf(task: Task, record: Fields): Example | undefined {
  try {
    return task.examplesOf!(datasetOf([record]))[0]
  } catch {
    return undefined
  }
}

/** Values of the same kind that the source hardly has. */
function perturbed(value: FieldValue): FieldValue[] {
  if (typeof value === 'string')
    return [`x${value}x`, ...(value.trim() === '' || Number.isNaN(Number(value)) ? [] : [String(Number(value) + 1)])]
  if (typeof value === 'number') return [value + 1, -value - 1]
  if (typeof value === 'bigint') return [value + 1n]
  if (typeof value === 'boolean') return [!value]
  if (value instanceof Int32Array || value instanceof Float32Array) return [value.map(item => item + 1)]
  if (Array.isArray(value)) return [(value as readonly FieldValue[]).map(item => perturbed(item)[0])]
  return [Object.fromEntries(Object.entries(value).map(([name, item]) => [name, perturbed(item)[0]]))]
}

/** Different values of each field, in the order of the records. */
function valuesIn(records: readonly Fields[]): Map<string, FieldValue[]> {
  const values = new Map<string, Map<string, FieldValue>>()
  for (const [column, value] of records.flatMap(record => Object.entries(record))) {
    const found = values.get(column) ?? new Map<string, FieldValue>()
    values.set(column, found)
    if (value !== undefined && found.size < MOST_VALUES) found.set(keyOf(value), value)
  }
  return new Map([...values].map(([column, found]) => [column, [...found.values()]]))
}

const keyOf = (value: FieldValue): string =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}n` : item))

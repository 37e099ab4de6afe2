import type { Fields } from '../preprocessor.js'
import { valueAt } from './nested.js'

/** Columns that a question names as an example of its answer, and why. */
export interface Proposal {
  /** A column for each of the wanted sides. Undefined if no column looks like one. */
  readonly columns: readonly (string | undefined)[]
  /** Why these columns, why not others, and what to do if there is none. Empty if nothing is known about them. */
  readonly reasons: readonly string[]
}

/** Usual names of columns that number or name the rows. */
const ID_NAME = /^(id|idx|index|no|nr|num|number|key|row|guid|uuid|.*[_.-](id|idx|key|uuid))$/i

/** Whether a column's name says that it numbers or names the rows. */
export const isIdName = (column: string): boolean => ID_NAME.test(column)

/**
 * The columns whose names are on a list of usual ones. If there is none, those that are paths with such a last name:
 * `qa.question`.
 */
export function usualAmong(columns: readonly string[], names: readonly string[]): readonly string[] {
  const whole = columns.filter(column => names.includes(column.toLowerCase()))
  return whole.length > 0
    ? whole
    : columns.filter(column => names.includes(column.slice(column.lastIndexOf('.') + 1).toLowerCase()))
}

/** An integer, perhaps after letters (row-12), or a long hexadecimal number such as a UUID. */
const ID = /^(\p{L}{0,8}[-_:#]?\d+([-_.:]\d+)*|[\da-f]{8}[\da-f-]{0,56})$/iu

/** With fewer rows than this, values tell nothing. */
const ENOUGH = 3

/** A side of a pair: its usual names, and the order of columns whose names tell nothing. */
interface Side {
  /** What the column holds, in the plural and in the singular. */
  readonly what: string
  readonly one: string
  readonly names: readonly string[]
  /** The column with the least score is proposed. */
  score(values: readonly string[]): number
  /** Undefined if the order says nothing about the column. */
  reason(values: readonly string[]): string | undefined
}

const sides = {
  input: {
    what: 'inputs',
    one: 'an input',
    score: values => -values.reduce((sum, value) => sum + value.length, 0),
    reason: () => 'has the longest texts',
  },
  target: {
    what: 'targets',
    one: 'an answer',
    score: values => new Set(values).size,
    reason: values => {
      const different = new Set(values).size
      return different < values.length
        ? `has the fewest different values (${different} in ${values.length} rows)`
        : undefined
    },
  },
} satisfies Record<string, Omit<Side, 'names'>>

/**
 * Proposes a column for each of the wanted sides, by the first rows of a file: a column with a usual name (`names`), or
 * the one with the longest texts for inputs and the fewest different values for targets. A column that numbers or names
 * the rows, or that has one value only, is proposed for its usual name alone.
 */
export function proposeColumns(
  columns: readonly string[],
  rows: readonly Fields[],
  wanted: readonly ('input' | 'target')[],
  names: Readonly<Record<'input' | 'target', readonly string[]>>,
): Proposal {
  const values = new Map(columns.map(column => [column, valuesOf(rows, column)]))
  const faults = new Map(columns.map(column => [column, faultOf(column, values.get(column)!)]))
  const chosen: (string | undefined)[] = []
  const reasons: string[] = []
  const lacking: string[] = []
  for (const name of wanted) {
    const side: Side = { ...sides[name], names: names[name] }
    const others = wanted.filter(other => other !== name).flatMap(other => usualAmong(columns, names[other]))
    const free = columns.filter(column => !chosen.includes(column))
    const fit = free.filter(column => faults.get(column) === undefined)
    const usual = usualAmong(fit.length > 0 ? fit : free, side.names).at(0)
    const unclaimed = fit.filter(column => !others.includes(column))
    const from = unclaimed.length > 0 ? unclaimed : fit
    const scored = from.toSorted((a, b) => side.score(values.get(a)!) - side.score(values.get(b)!))
    const column = usual ?? (rows.length < ENOUGH ? from[0] : scored[0])
    chosen.push(column)
    if (column === undefined) {
      lacking.push(side.one)
    } else if (usual !== undefined) {
      const fault = faults.get(usual)
      const isWhole = side.names.includes(usual.toLowerCase())
      reasons.push(
        `"${usual}" ${isWhole ? 'is' : 'ends in'} a usual name of ${side.what}${fault === undefined ? '' : `, but ${fault}`}`,
      )
    } else if (rows.length >= ENOUGH && from.length > 1) {
      const reason = side.reason(values.get(column)!)
      if (reason !== undefined) reasons.push(`"${column}" ${reason}`)
    }
  }
  for (const [column, fault] of faults)
    if (fault !== undefined && !chosen.includes(column)) reasons.push(`not "${column}": ${fault}`)
  if (lacking.length > 0) {
    const what = lacking.join(' or ')
    reasons.push(
      `no${chosen.some(Boolean) ? ' other' : ''} column looks like ${what}: name one nevertheless, or add one`,
    )
  }
  return { columns: chosen, reasons }
}

/** Why a column cannot be learned from or learned; undefined if it may be. */
function faultOf(column: string, values: readonly string[]): string | undefined {
  if (isIdName(column)) return 'its name is that of an id'
  if (values.length < ENOUGH) return undefined
  const different = new Set(values).size
  if (different === 1) return `each row has "${values[0].slice(0, 20)}"`
  return different === values.length && values.every(value => ID.test(value))
    ? 'each row has another number or id'
    : undefined
}

function valuesOf(rows: readonly Fields[], column: string): string[] {
  return rows.flatMap(row => {
    const value = valueAt(row, column)
    if (value === undefined || value === '') return []
    return [typeof value === 'object' && Symbol.iterator in value ? Array.from(value).join(' ') : String(value)]
  })
}

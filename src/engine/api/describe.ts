/** Words for error messages. */
import { formatAval } from '../program/aval.js'
import { Value } from '../program/value.js'

/** Any value in words: JavaScript checks no types, and its own TypeErrors name no argument. */
export function describe(x: unknown): string {
  if (typeof x === 'string') return `the string ${JSON.stringify(x)}`
  if (typeof x === 'function') return x.name ? `the function ${x.name}` : 'a function'
  if (Array.isArray(x)) return 'a list'
  if (typeof x !== 'object' || x === null) return String(x)
  const { value } = x as { value?: unknown }
  if (value instanceof Value) return formatAval(value.aval)
  const maker = (Object.getPrototypeOf(x) as object | null)?.constructor
  return maker === undefined || maker === Object ? 'a plain object' : `a ${maker.name}`
}

/** Whether a value is a bare number: these may stand wherever an array may. */
export const isScalar = (x: unknown): x is number | bigint | boolean =>
  typeof x === 'number' || typeof x === 'bigint' || typeof x === 'boolean'

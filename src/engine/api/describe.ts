/** Words for error messages. */
import { formatAval } from '../program/aval.js'
import { Value } from '../program/value.js'

/**
 * Any JavaScript value in words, for messages about an argument of a wrong type: JavaScript itself does not check
 * types.
 */
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

/** Whether a value is a bare number, bigint or boolean, which every function accepts in place of an array. */
export const isScalar = (x: unknown): x is number | bigint | boolean =>
  typeof x === 'number' || typeof x === 'bigint' || typeof x === 'boolean'

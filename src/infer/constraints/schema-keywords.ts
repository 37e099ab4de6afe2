import { ConfigError } from '../../base/errors.js'

/** A JSON schema that is not a boolean. */
export type Schema = { readonly [keyword: string]: unknown }

/** Keywords that say nothing about which values are valid. */
const ANNOTATIONS = new Set([
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
])

/** The keywords that are read with each type. */
export const KEYWORDS: { readonly [type: string]: readonly string[] } = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: [],
  integer: [],
  boolean: [],
  null: [],
}
export const TYPES = Object.keys(KEYWORDS)

export const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether a JSON value is of a type, as schemas name types. */
export function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'null') return value === null
  return type === 'object' ? isObject(value) : typeof value === type
}

/** The error for something in a schema that cannot be followed; `path` is where. */
export const wrong = (problem: string, path: string): ConfigError =>
  new ConfigError(`the JSON schema cannot be followed at ${path}: ${problem}`)

/** Throws a ConfigError if a schema has other keywords than these and annotations. */
export function only(schema: Schema, keywords: readonly string[], path: string): void {
  const other = Object.keys(schema).find(name => !keywords.includes(name) && !ANNOTATIONS.has(name))
  if (other !== undefined) throw wrong(`the keyword ${other} is not supported there: leave it out`, path)
}

/** The value of a keyword that is a number of things. */
export function count(value: unknown, name: string, path: string): number {
  if (!Number.isInteger(value) || (value as number) < 0) throw wrong(`${name} must be a whole number from 0`, path)
  return value as number
}

/** The part of a schema that a reference such as `#/$defs/name` points at; undefined if there is none. */
export function pointedAt(root: unknown, reference: string): unknown {
  if (!/^#(\/|$)/.test(reference)) return undefined
  let decoded: string
  try {
    decoded = decodeURIComponent(reference)
  } catch {
    return undefined
  }
  return decoded
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (at, part) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, part) ? (at as Schema)[part] : undefined,
      root,
    )
}

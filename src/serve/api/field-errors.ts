import { z } from 'zod'
import { didYouMean } from '../../base/suggest.js'
import { badRequest } from '../http/api-error.js'
import type { ApiError } from '../http/api-error.js'
import { wantedOf } from './wanted-values.js'

/** An unknown field of an object with at most this many fields is answered with all of them. */
const FEW_FIELDS = 12

/**
 * The value that a schema reads from a body. Throws a 400 that says which field is wrong, its value, and what is wanted
 * there.
 */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  // Schemas with messages of their own keep them. Zod's default messages are replaced by `fieldError`.
  const parsed = schema.safeParse(body, { error: () => '' })
  if (parsed.success) return parsed.data
  // A field that is spelled wrongly is unknown, and missing: the first says more.
  const { issues } = parsed.error
  throw fieldError(issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0], schema, body)
}

function fieldError(issue: z.core.$ZodIssue, schema: z.ZodType, body: unknown): ApiError {
  const { path, message } = issue
  if (issue.code === 'unrecognized_keys') return unknownField([...path, issue.keys[0]], fieldsAt(schema, path))
  if (path.length === 0) return badRequest('the body must be a JSON object')
  const field = shortened(fieldName(path))
  if (/^(is|has) /.test(message)) return badRequest(`${field} ${message}`, field)
  if (message !== '' && !message.startsWith('must ')) return badRequest(`${field}: ${message}`, field)
  const value = valueAt(body, path)
  const wanted = message === '' ? `must be ${wantedOf(schemasAt(schema, path))}` : message
  if (value === undefined) return badRequest(`${field} is missing: it ${wanted}`, field)
  return badRequest(`${field} is ${shown(value)}: it ${wanted}`, field, null, `${field}: it ${wanted}`)
}

function unknownField(path: readonly PropertyKey[], known: readonly string[]): ApiError {
  const param = shortened(fieldName(path))
  const all = known.length <= FEW_FIELDS ? `there are ${known.join(', ')}` : 'the fields are listed at /docs'
  const hint = didYouMean(shortened(String(path.at(-1))), known, all)
  return badRequest(`unknown field "${param}"; ${hint}`, param, 'unknown_field')
}

/** A value in an error message: numbers as they are, texts shortened, arrays and objects by their kind. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

/** A field's name as in JavaScript: `messages[0].content`. */
const fieldName = (path: readonly PropertyKey[]): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('')

/** Names in error messages may come from a client: no more than 100 characters of them are sent back. */
const shortened = (name: string): string => (name.length > 100 ? `${name.slice(0, 100)}…` : name)

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

/** The schemas of a field: several if objects of different kinds have it. */
const schemasAt = (schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType[] =>
  path.reduce<z.ZodType[]>((schemas, key) => schemas.flatMap(outer => inside(outer, key)), [schema])

/** The names of the fields of an object. */
const fieldsAt = (schema: z.ZodType, path: readonly PropertyKey[]): string[] =>
  schemasAt(schema, path)
    .flatMap(alternatives)
    .flatMap(object => (object instanceof z.ZodObject ? Object.keys(object.shape) : []))

/** The schemas of a key of an object, or of the elements of an array. */
const inside = (schema: z.ZodType, key: PropertyKey): z.ZodType[] =>
  alternatives(schema).flatMap(outer => {
    if (outer instanceof z.ZodArray && typeof key === 'number') return [outer.element as z.ZodType]
    if (outer instanceof z.ZodRecord) return [outer.valueType as z.ZodType]
    if (!(outer instanceof z.ZodObject)) return []
    const shape = outer.shape as Record<PropertyKey, z.ZodType>
    return Object.hasOwn(shape, key) ? [shape[key]] : []
  })

/** The kinds of value that a schema allows, besides null and none. */
function alternatives(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return alternatives(schema.unwrap() as z.ZodType)
  return schema instanceof z.ZodUnion ? schema.options.flatMap(option => alternatives(option as z.ZodType)) : [schema]
}

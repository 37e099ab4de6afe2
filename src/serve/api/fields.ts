import { z } from 'zod'
import { didYouMean } from '../../base/suggest.js'
import { badRequest } from '../http/api-error.js'
import type { ApiError } from '../http/api-error.js'

/** A text. Half of a surrogate pair, as is left where a text is cut within a character, is refused. */
export const text = z.string().refine(value => !/\p{Surrogate}/u.test(value), {
  error: 'the text has half of a surrogate pair: it was cut within a character',
})

export const tokenId = z.int().min(0).max(0xffffffff)

/** An input of a model: a text, or token ids. */
export const input = z.union([text, z.array(tokenId).min(1)], { error: 'must be a text, or an array of token ids' })

/** A field that may be left out, or null, which OpenAI's clients send for what is not set. */
export const optional = <S extends z.ZodType>(schema: S): z.ZodOptional<z.ZodNullable<S>> => schema.nullish()

/** The model that is asked. */
export const modelField = optional(z.string()).describe("Which model. Default: the server's first.")

/**
 * A field that OpenAI's or vLLM's API has and this server does not support. The values that ask for nothing are
 * accepted; any other is refused with the reason.
 */
export function unsupported(reason: string, neutral: readonly (string | number | boolean)[] = []): z.ZodType {
  const values = z.literal([null, ...neutral], { error: `is not supported: ${reason}` })
  return values.optional().describe(`Not supported: ${reason}.`)
}

/** As `unsupported`, for an array or an object: an empty one is accepted. */
export function unsupportedUnlessEmpty(reason: string, kind: 'array' | 'object'): z.ZodType {
  const error = { error: `is not supported: ${reason}` }
  const empty =
    kind === 'array'
      ? z.array(z.unknown()).max(0, error)
      : z
          .record(z.string(), z.unknown())
          .refine(value => Object.keys(value).length === 0, error)
          .meta({ maxProperties: 0 })
  return optional(empty).describe(`Not supported: ${reason}.`)
}

/** A field that is accepted and has no effect. */
export const ignored = <S extends z.ZodType>(schema: S, why: string): z.ZodType =>
  optional(schema).describe(`Accepted, without an effect: ${why}.`)

/** The value that a schema reads from a body. Throws a 400 that names the field at fault. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw fieldError(parsed.error.issues[0], schema)
}

function fieldError(issue: z.core.$ZodIssue, schema: z.ZodType): ApiError {
  const at = fieldName(issue.path)
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys
    const known = issue.path.length === 0 && schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
    const param = shortened(fieldName([...issue.path, key]))
    const hint = didYouMean(shortened(key), known, 'the fields are listed at /docs')
    return badRequest(`unknown field "${param}"; ${hint}`, param, 'unknown_field')
  }
  if (at === '') return badRequest(`the body must be a JSON object: ${issue.message}`)
  return badRequest(`${shortened(at)}: ${issue.message}`, shortened(at))
}

/** A field's name as in JavaScript: `messages[0].content`. */
const fieldName = (path: readonly PropertyKey[]): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('')

/** Names in error messages may come from a client: no more than 100 characters of them are sent back. */
const shortened = (name: string): string => (name.length > 100 ? `${name.slice(0, 100)}…` : name)

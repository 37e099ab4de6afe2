import { z } from 'zod'

/** A text. Half of a surrogate pair, as is left where a text is cut within a character, is refused. */
export const text = z.string().refine(value => !/\p{Surrogate}/u.test(value), {
  error: 'has half of a surrogate pair: the text was cut within a character',
})

export const tokenId = z.int().min(0).max(0xffffffff)

/** The most characters, or tokens, of one text. One of 600,000 tokens kept answers waiting for a second. */
export const MOST_TOKENS = 2 ** 17

/** The most inputs of a request, as OpenAI has it for embeddings. Longer arrays are refused before they are read. */
export const MOST_INPUTS = 2048

/** The most messages, and parts of a message. */
export const MOST_MESSAGES = 4096

/** Token ids. */
export const ids = z.array(tokenId).min(1).max(MOST_TOKENS)

/** An input of a model: a text, or token ids. */
export const input = z.union([text, ids], { error: 'must be a text, or an array of token ids' })

/** A field that may be left out, or null, which OpenAI's clients send for what is not set. */
export const optional = <S extends z.ZodType>(schema: S): z.ZodOptional<z.ZodNullable<S>> => schema.nullish()

/** The model that is asked. */
export const modelField = optional(z.string()).describe('Which model. Needed if the server has several.')

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

import { z } from 'zod'
import { badRequest } from '../http/api-error.js'
import { nestingProblem } from '../http/json-depth.js'
import { MOST_TOKENS, optional, text, unsupported } from './fields.js'

const jsonSchema = z.record(z.string(), z.unknown())

/** vLLM's fields that restrict an answer. */
export const constraintFields = {
  structured_outputs: optional(
    z.strictObject({
      choice: optional(z.array(text.min(1)).min(1).max(1024)).describe('The answer is one of these texts.'),
      regex: optional(text.min(1).max(MOST_TOKENS)).describe('The answer matches this regular expression as a whole.'),
      json: optional(z.union([jsonSchema, text])).describe('The answer is JSON that this JSON Schema allows.'),
    }),
  ).describe("Restricts the answer, as vLLM's field of this name. Exactly one of its fields must be given."),
  guided_choice: unsupported('use structured_outputs: {"choice": [...]}'),
  guided_regex: unsupported('use structured_outputs: {"regex": "..."}'),
  guided_json: unsupported('use structured_outputs: {"json": {...}}, or response_format'),
  guided_grammar: unsupported('use structured_outputs with a regex or a JSON schema'),
}

const format = <J extends z.ZodRawShape>(schema: J) =>
  z.discriminatedUnion(
    'type',
    [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object') }),
      z.strictObject({ type: z.literal('json_schema'), ...schema }),
    ],
    { error: 'must be "text", "json_object" or "json_schema"' },
  )

const named = {
  name: z.string(),
  description: optional(z.string()),
  strict: optional(z.boolean()).describe('Accepted: the schema is always followed.'),
  schema: jsonSchema,
}

/** OpenAI's `response_format` of chat. */
export const responseFormat = format({ json_schema: z.strictObject(named) })

/** OpenAI's `text.format` of responses. */
export const textFormat = format(named)

/** A restriction of an answer. */
export type Constraint = { choices: readonly string[] } | { regex: string } | { jsonSchema: object }

interface ConstrainedFields {
  readonly structured_outputs?: {
    readonly choice?: string[] | null
    readonly regex?: string | null
    readonly json?: string | object | null
  } | null
}

/** The restriction that `structured_outputs` asks for. */
export function constraintOf({ structured_outputs: asked }: ConstrainedFields): Constraint | undefined {
  if (!asked) return undefined
  const { choice, regex, json } = asked
  if (choice && choice.reduce((sum, { length }) => sum + length, 0) > MOST_TOKENS)
    throw badRequest(
      `structured_outputs.choice has more than ${MOST_TOKENS} characters in all: give fewer or shorter texts`,
      'structured_outputs.choice',
    )
  const all: Constraint[] = []
  if (choice) all.push({ choices: choice })
  if (regex) all.push({ regex })
  if (json) all.push({ jsonSchema: typeof json === 'string' ? parsedSchema(json) : json })
  if (all.length !== 1)
    throw badRequest('structured_outputs needs exactly one of choice, regex and json', 'structured_outputs')
  return all[0]
}

function parsedSchema(source: string): object {
  const refused = (problem: string): Error =>
    badRequest(`structured_outputs.json ${problem}`, 'structured_outputs.json')
  let value: unknown
  try {
    value = JSON.parse(source)
  } catch {
    // Refused below.
  }
  if (typeof value !== 'object' || value === null) throw refused('must be a JSON Schema: an object, or its text')
  const problem = nestingProblem(value)
  if (problem !== undefined) throw refused(problem)
  return value
}

/** The restriction that a format asks for. */
export function formatConstraint(
  asked: z.output<typeof responseFormat> | z.output<typeof textFormat> | null | undefined,
): Constraint | undefined {
  switch (asked?.type) {
    case 'json_object':
      return { jsonSchema: { type: 'object' } }
    case 'json_schema':
      return { jsonSchema: 'json_schema' in asked ? asked.json_schema.schema : asked.schema }
    default:
      return undefined
  }
}

import { z } from 'zod'
import { libraryVersion } from '../../base/version.js'
import type { AnswerSchema, Endpoint } from '../api/endpoint.js'

type Json = Record<string, unknown>

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' })
  return rest
}

const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable().describe('The field at fault.'),
    code: z.string().nullable(),
  }),
})

const errorAnswer = {
  description: 'An error.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}

/** The OpenAPI 3.1 document of endpoints. Its schemas are made of those that check the requests. */
export function openApiDocument(endpoints: readonly Endpoint[], needsKey: boolean): Json {
  const paths: Record<string, Json> = {}
  for (const endpoint of endpoints)
    (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operation(endpoint, needsKey)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Switchyard',
      version: libraryVersion,
      description:
        "OpenAI's API for T5 and Switch Transformers. An encoder reads the prompt, and a decoder generates the answer: the prompt is no part of the answer.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [
      { name: 'OpenAI', description: "As OpenAI's API." },
      { name: 'vLLM', description: "As vLLM's." },
      { name: 'Operation', description: 'For those who run the server.' },
    ],
    paths,
    components: {
      schemas: { Error: schemaOf(errorBody, 'output') },
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key.' },
        adminKey: { type: 'http', scheme: 'bearer', description: 'An admin key.' },
      },
    },
  }
}

function operation(endpoint: Endpoint, needsKey: boolean): Json {
  const { access, tag, summary, description, body, answers, path, method } = endpoint
  const [, parameter] = /\{(\w+)\}$/.exec(path) ?? []
  const security = { public: [], client: needsKey ? [{ key: [] }] : [], admin: [{ adminKey: [] }] }[access]
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tag],
    summary,
    ...(description && { description }),
    security,
    ...(parameter && {
      parameters: [{ name: parameter, in: 'path', required: true, schema: { type: 'string', minLength: 1 } }],
    }),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } },
    }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, kinds]) => [status, responseOf(kinds)])),
      default: errorAnswer,
    },
  }
}

const responseOf = (kinds: readonly AnswerSchema[]): Json => ({
  description: kinds.map(({ description }) => description).join(' '),
  headers: { 'x-request-id': { description: 'The id of the request, as in the log.', schema: { type: 'string' } } },
  content: Object.fromEntries(kinds.map(kind => [kind.contentType ?? 'application/json', { schema: contentOf(kind) }])),
})

/** For a stream, each of its events, in the form of OpenAPI 3.2: a JSON text in `data`. */
function contentOf({ schema, contentType }: AnswerSchema): Json {
  const content = schemaOf(schema, 'output')
  if (contentType !== 'text/event-stream') return content
  const data = { type: 'string', contentMediaType: 'application/json', contentSchema: content }
  return { type: 'object', required: ['data'], properties: { event: { type: 'string' }, data } }
}

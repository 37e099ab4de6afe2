import { z } from 'zod'

/** The parts of a JSON Schema that say which values a field may have. */
interface Described {
  readonly type?: string | readonly string[]
  readonly anyOf?: readonly Described[]
  readonly oneOf?: readonly Described[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly items?: Described
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

/** What a field must be, for a person: `a whole number from 1 to 128`. */
export function wantedOf(schemas: readonly z.ZodType[]): string {
  const kinds = schemas.flatMap(schema =>
    wanted(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Described),
  )
  return [...new Set(kinds)].join(', or ')
}

/** One description for each kind of value, without null. */
function wanted(schema: Described): string[] {
  const values = 'const' in schema ? [schema.const] : schema.enum
  if (values) return [listed(values.filter(value => value !== null).map(value => JSON.stringify(value)))]
  const kinds =
    schema.anyOf ?? schema.oneOf ?? (Array.isArray(schema.type) ? schema.type.map(type => ({ ...schema, type })) : null)
  if (kinds) return kinds.filter(({ type }) => type !== 'null').flatMap(wanted)
  const { minLength, maxLength, minItems, maxItems } = schema
  switch (schema.type) {
    case 'integer':
      return [`a whole number${range(schema)}`]
    case 'number':
      return [`a number${range(schema)}`]
    case 'boolean':
      return ['true or false']
    case 'string':
      return [`a text${count(minLength, maxLength, 'character')}`]
    case 'array':
      return [`an array${count(minItems, maxItems, 'element')}`]
    default:
      return ['an object']
  }
}

/** The range of a number. JSON Schemas of whole numbers have the bounds of JavaScript's, which say nothing. */
function range({ minimum, exclusiveMinimum, maximum }: Described): string {
  const safe = (bound?: number): number | undefined =>
    bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound
  const [least, above, most] = [minimum, exclusiveMinimum, maximum].map(safe)
  const from = above !== undefined ? ` above ${above}` : least !== undefined ? ` from ${least}` : ''
  if (most === undefined) return from
  return above !== undefined
    ? `${from} and at most ${most}`
    : from === ''
      ? ` of at most ${most}`
      : `${from} to ${most}`
}

/** How many characters or elements there may be. */
function count(least = 0, most: number | undefined, of: string): string {
  if (most !== undefined) return least > 0 ? ` of ${least} to ${most} ${of}s` : ` of at most ${most} ${of}s`
  return least > 0 ? ` of at least ${least} ${of}${least === 1 ? '' : 's'}` : ''
}

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`

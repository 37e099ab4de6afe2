import * as z from 'zod'

/** The part of a JSON schema that says which keys objects have. */
interface Described {
  readonly properties?: Readonly<Record<string, Described>>
  /** Of a record with any keys, the form of its values. */
  readonly additionalProperties?: Described | boolean
  readonly anyOf?: readonly Described[]
  readonly oneOf?: readonly Described[]
  readonly const?: unknown
}

/**
 * The paths of all settings that a schema knows (`train.schedule.peak`), and of all groups of settings (`train`). Of
 * alternatives that differ in their `kind`, those of the value's kind count; of a record, the keys that the value has.
 */
export function knownSettings(schema: z.ZodType, value: unknown): { settings: string[]; groups: string[] } {
  const all = pathsOf(z.toJSONSchema(schema, { unrepresentable: 'any' }) as Described, value, '')
  const isGroup = (path: string): boolean => all.some(other => other.startsWith(`${path}.`))
  return { settings: all.filter(path => !isGroup(path)), groups: all.filter(isGroup) }
}

function pathsOf(described: Described, value: unknown, prefix: string): string[] {
  const { properties = {}, additionalProperties } = described
  const at = (key: string): unknown => (isRecord(value) ? value[key] : undefined)
  const alternatives = [...(described.anyOf ?? []), ...(described.oneOf ?? [])]
  const ofKind = alternatives.filter(({ properties }) => isRecord(value) && properties?.kind?.const === value.kind)
  const own = Object.entries(properties).flatMap(([key, property]) => [
    `${prefix}${key}`,
    ...pathsOf(property, at(key), `${prefix}${key}.`),
  ])
  const ofRecord =
    typeof additionalProperties === 'object' && isRecord(value)
      ? Object.keys(value).flatMap(key => pathsOf(additionalProperties, value[key], `${prefix}${key}.`))
      : []
  return [
    ...own,
    ...ofRecord,
    ...(ofKind.length > 0 ? ofKind : alternatives).flatMap(alternative => pathsOf(alternative, value, prefix)),
  ]
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

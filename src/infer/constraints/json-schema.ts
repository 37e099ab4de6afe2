import { ConfigError } from '../../base/errors.js'
import { Grammar } from './grammar.js'
import { jsonFormats } from './json-formats.js'
import { addRegex } from './regex.js'
import { without } from './utf8.js'
import type { Range } from './utf8.js'

type Build = (from: number) => number
type Schema = { readonly [keyword: string]: unknown }

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
const KEYWORDS: { readonly [type: string]: readonly string[] } = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: [],
  integer: [],
  boolean: [],
  null: [],
}
const TYPES = Object.keys(KEYWORDS)

/** The characters of a JSON text that are not written as escapes. */
const PLAIN: readonly Range[] = [
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x10ffff],
]
const ESCAPES: { readonly [character: string]: string } = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/**
 * The grammar of JSON texts that a schema (JSON Schema, draft 2020-12) allows, and its first rule. The texts are some
 * of those that are valid: properties come in the order of the schema, an object with `properties` has no further ones,
 * there is at most one space, after a comma or a colon. `oneOf` is read as `anyOf`: a value that two of its schemas
 * allow is not ruled out. docs/restricted-answers.md lists the keywords. Throws a ConfigError, which names the keyword
 * and its place, for any other keyword, and for values that contradict each other.
 */
export function jsonGrammar(schema: unknown): { grammar: Grammar; start: number } {
  const grammar = new Grammar()
  const start = grammar.rule(new SchemaGrammar(grammar, schema).value(schema, '#'))
  return { grammar, start }
}

class SchemaGrammar {
  /** Rules by the reference or the name of what they are for. */
  private readonly rules = new Map<string, number>()
  /** The references that lead to the current schema without an object or an array between. */
  private followed: readonly string[] = []

  constructor(
    private readonly grammar: Grammar,
    private readonly root: unknown,
  ) {}

  /** The values that a schema allows. `path` is where it is, for messages. */
  value(schema: unknown, path: string): Build {
    const build = this.anyOfValues(schema, path)
    return from => this.grammar.part(from, path, build)
  }

  /** The values of a schema inside an object or an array. */
  private inner(schema: unknown, path: string): Build {
    const { followed } = this
    this.followed = []
    try {
      return this.value(schema, path)
    } finally {
      this.followed = followed
    }
  }

  private anyOfValues(schema: unknown, path: string): Build {
    if (schema === true) return this.ruleOf('any value', () => this.anyValue())
    if (schema === false) return () => this.grammar.node()
    if (!isObject(schema))
      throw new ConfigError(
        `the JSON schema has ${JSON.stringify(schema)} at ${path}: it must be an object or a boolean`,
      )
    const { $ref, const: constant, enum: values, anyOf, oneOf, allOf } = schema
    if ($ref !== undefined) {
      only(schema, ['$ref'], path)
      return this.reference($ref, path)
    }
    if ('const' in schema) {
      only(schema, ['const', 'type'], path)
      return this.texts([constant], schema.type, path)
    }
    if (values !== undefined) {
      if (!Array.isArray(values)) throw wrong('enum must be a list', path)
      if (values.length === 0) throw wrong('enum has no values: give at least one', path)
      only(schema, ['enum', 'type'], path)
      return this.texts(values, schema.type, path)
    }
    for (const [name, parts] of Object.entries({ anyOf, oneOf })) {
      if (parts === undefined) continue
      only(schema, [name], path)
      const builds = this.all(parts, `${path}/${name}`)
      return from => this.grammar.either(from, builds)
    }
    if (allOf !== undefined) {
      only(schema, ['allOf'], path)
      const builds = this.all(allOf, `${path}/allOf`)
      if (builds.length !== 1) throw wrong('allOf of several schemas is not supported: write one schema', path)
      return builds[0]
    }
    return this.typed(schema, path)
  }

  private all(parts: unknown, path: string): Build[] {
    if (!Array.isArray(parts) || parts.length === 0) throw wrong('there must be a list of schemas', path)
    return parts.map((part, i) => this.value(part, `${path}/${i}`))
  }

  /** The values of a schema's type, or of its types. */
  private typed(schema: Schema, path: string): Build {
    const types =
      schema.type === undefined
        ? TYPES.filter(type => KEYWORDS[type].some(name => name in schema))
        : [schema.type].flat()
    if (types.length === 0) {
      if (schema.type !== undefined) throw wrong('type is an empty list: give at least one type', path)
      only(schema, [], path)
      return this.anyOfValues(true, path)
    }
    for (const type of types)
      if (!TYPES.includes(type as string))
        throw wrong(`the type ${JSON.stringify(type)} is none of ${TYPES.join(', ')}`, path)
    only(schema, ['type', ...types.flatMap(type => KEYWORDS[type as string])], path)
    const builds = (types as string[]).map(type => this.ofType(type, schema, path))
    return from => this.grammar.either(from, builds)
  }

  private ofType(type: string, schema: Schema, path: string): Build {
    switch (type) {
      case 'object':
        return this.object(schema, path)
      case 'array':
        return this.array(schema, path)
      case 'string':
        return this.string(schema, path)
      case 'number':
        return this.regex('-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?')
      case 'integer':
        return this.regex('-?(0|[1-9][0-9]*)')
      case 'boolean':
        return this.regex('true|false')
      default:
        return this.regex('null')
    }
  }

  private anyValue(): Build {
    const builds = TYPES.filter(type => type !== 'integer').map(type => this.ofType(type, {}, '#'))
    return from => this.grammar.either(from, builds)
  }

  private object({ properties, required = [], additionalProperties = true }: Schema, path: string): Build {
    const { grammar } = this
    if (!Array.isArray(required)) throw wrong('required must be a list of names', path)
    const open: Build = from => grammar.text(from, '{')
    if (properties === undefined) {
      if (required.length > 0) throw wrong('required needs properties with these names', path)
      if (additionalProperties === false) return from => grammar.text(open(from), '}')
      const value = this.inner(additionalProperties, `${path}/additionalProperties`)
      const member: Build = from => value(this.colon(this.string({}, path)(from)))
      return from => grammar.text(this.separated(open(from), 0, Infinity, member), '}')
    }
    if (!isObject(properties)) throw wrong('properties must be an object', path)
    const members = Object.entries(properties).map(([name, schema]) => {
      const at = `${path}/properties/${name}`
      const rule = this.ruleOf(at, () => this.inner(schema, at))
      const key = this.colonOf(JSON.stringify(name))
      return { name, build: (from: number): number => rule(key(from)) }
    })
    for (const name of required as unknown[])
      if (!members.some(member => member.name === name))
        throw wrong(`required has "${String(name)}", which is not in properties`, path)
    return from => {
      // After some members and after none: only after some, a comma is before the next.
      let [none, some] = [open(from), grammar.node()]
      for (const { name, build } of members) {
        const next = { none: grammar.node(), some: grammar.node() }
        grammar.jump(build(none), next.some)
        grammar.jump(build(this.comma(some)), next.some)
        if (!(required as unknown[]).includes(name)) {
          grammar.jump(none, next.none)
          grammar.jump(some, next.some)
        }
        ;({ none, some } = next)
      }
      const end = grammar.node()
      grammar.jump(none, end)
      grammar.jump(some, end)
      return grammar.text(end, '}')
    }
  }

  private array({ items = true, prefixItems = [], minItems = 0, maxItems = Infinity }: Schema, path: string): Build {
    const { grammar } = this
    const least = count(minItems, 'minItems', path)
    const most = maxItems === Infinity ? Infinity : count(maxItems, 'maxItems', path)
    if (least > most) throw wrong(`minItems is ${least}, more than maxItems, ${most}`, path)
    if (!Array.isArray(prefixItems)) throw wrong('prefixItems must be a list of schemas', path)
    const item = this.ruleOf(`${path}/items`, () => this.inner(items, `${path}/items`))
    const first = prefixItems.map((schema, i) => this.inner(schema, `${path}/prefixItems/${i}`))
    if (first.length === 0) return from => grammar.text(this.separated(grammar.text(from, '['), least, most, item), ']')
    if (most < first.length) throw wrong('maxItems must be at least the number of prefixItems', path)
    return from => {
      let at = grammar.text(from, '[')
      first.forEach((build, i) => (at = build(i === 0 ? at : this.comma(at))))
      at = grammar.repeat(at, Math.max(0, least - first.length), most - first.length, inner => item(this.comma(inner)))
      return grammar.text(at, ']')
    }
  }

  /** From `min` to `max` times a text, with commas between. */
  private separated(from: number, min: number, max: number, build: Build): number {
    const { grammar } = this
    const some: Build = at =>
      grammar.repeat(build(at), Math.max(0, min - 1), max - 1, inner => build(this.comma(inner)))
    if (max === 0) return from
    return min > 0 ? some(from) : grammar.either(from, [at => at, some])
  }

  private string({ minLength = 0, maxLength = Infinity, pattern, format }: Schema, path: string): Build {
    const { grammar } = this
    const quoted =
      (inner: Build): Build =>
      from =>
        grammar.text(inner(grammar.text(from, '"')), '"')
    const least = count(minLength, 'minLength', path)
    const most = maxLength === Infinity ? Infinity : count(maxLength, 'maxLength', path)
    if (least > most) throw wrong(`minLength is ${least}, more than maxLength, ${most}`, path)
    const limited = Object.entries({ minLength, maxLength, pattern, format }).flatMap(([name, value]) =>
      value === undefined || value === 0 || value === Infinity ? [] : [name],
    )
    if (limited.length > 1 && (pattern ?? format) !== undefined)
      throw wrong(`${limited.join(' and ')} cannot be combined: say all of it in one pattern`, path)
    if (pattern !== undefined) {
      if (typeof pattern !== 'string') throw wrong('pattern must be a text', path)
      return quoted(from =>
        addRegex(grammar, from, pattern, {
          isSearch: true,
          place: path,
          character: (at, ranges) => this.character(at, ranges),
        }),
      )
    }
    if (format !== undefined) {
      const expression = jsonFormats.get(format as string)
      if (expression === undefined)
        throw wrong(
          `the format ${JSON.stringify(format)} is none of ${[...jsonFormats.keys()].join(', ')}: leave it out, or give a pattern`,
          path,
        )
      return quoted(from => addRegex(grammar, from, expression))
    }
    const character = this.ruleOf('character', () => from => this.character(from, [[0, 0x10ffff]]))
    return quoted(from => grammar.repeat(from, least, most, character))
  }

  /** A character inside a text of JSON, escaped where JSON asks for it. */
  private character(from: number, ranges: readonly Range[]): number {
    const { grammar } = this
    const plain = without(ranges, without([[0, 0x10ffff]], PLAIN))
    const escaped = without(ranges, PLAIN).flatMap(([first, last]) =>
      Array.from({ length: last - first + 1 }, (_, i) => escapeOf(first + i)),
    )
    return grammar.either(from, [
      ...(plain.length > 0 ? [(at: number) => grammar.character(at, plain)] : []),
      ...escaped.map(text => (at: number) => grammar.text(at, text)),
    ])
  }

  /** Given values, those of the types if there are types. */
  private texts(values: readonly unknown[], type: unknown, path: string): Build {
    const valid =
      type === undefined ? values : values.filter(value => [type].flat().some(name => isOfType(value, name)))
    if (valid.length === 0)
      throw wrong(
        `no value of ${JSON.stringify(values).slice(0, 60)} is of the type ${[type].flat().join(' or ')}`,
        path,
      )
    const texts = valid.map(value => JSON.stringify(value))
    return from =>
      this.grammar.either(
        from,
        texts.map(text => at => this.grammar.text(at, text)),
      )
  }

  private reference(reference: unknown, path: string): Build {
    const target = typeof reference === 'string' ? pointedAt(this.root, reference) : undefined
    if (target === undefined)
      throw wrong(`${JSON.stringify(reference)} is no part of this schema; references begin with #`, path)
    const name = reference as string
    if (this.followed.includes(name))
      throw wrong(`${JSON.stringify(name)} refers to itself without an object or an array between`, path)
    const { followed } = this
    this.followed = [...followed, name]
    try {
      return this.ruleOf(name, () => this.value(target, name))
    } finally {
      this.followed = followed
    }
  }

  /** A call of a rule that is made once. While it is made, it may call itself. */
  private ruleOf(name: string, make: () => Build): Build {
    let rule = this.rules.get(name)
    if (rule === undefined) {
      this.rules.set(name, (rule = this.grammar.node()))
      this.grammar.nodes[make()(rule)].isEnd = true
    }
    return from => this.grammar.call(from, rule)
  }

  private regex(source: string): Build {
    return this.ruleOf(source, () => from => addRegex(this.grammar, from, source))
  }

  private comma(from: number): number {
    return this.colonOf('', ',')(from)
  }

  private colon(from: number): number {
    return this.colonOf('')(from)
  }

  /** A text and a separator, with or without a space after it. */
  private colonOf(text: string, separator = ':'): Build {
    const { grammar } = this
    return from => grammar.repeat(grammar.text(from, text + separator), 0, 1, at => grammar.text(at, ' '))
  }
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'null') return value === null
  return type === 'object' ? isObject(value) : typeof value === type
}

const wrong = (problem: string, path: string): ConfigError =>
  new ConfigError(`the JSON schema cannot be followed at ${path}: ${problem}`)

/** Throws a ConfigError if a schema has other keywords than these and annotations. */
function only(schema: Schema, keywords: readonly string[], path: string): void {
  const other = Object.keys(schema).find(name => !keywords.includes(name) && !ANNOTATIONS.has(name))
  if (other !== undefined) throw wrong(`the keyword ${other} is not supported there: leave it out`, path)
}

function count(value: unknown, name: string, path: string): number {
  if (!Number.isInteger(value) || (value as number) < 0) throw wrong(`${name} must be a whole number from 0`, path)
  return value as number
}

function escapeOf(codePoint: number): string {
  const character = String.fromCodePoint(codePoint)
  return ESCAPES[character] ?? `\\u${codePoint.toString(16).padStart(4, '0')}`
}

/** The part of a schema that a reference such as `#/$defs/name` points at; undefined if there is none. */
function pointedAt(root: unknown, reference: string): unknown {
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

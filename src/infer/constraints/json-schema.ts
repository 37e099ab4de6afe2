import { ConfigError } from '../../base/errors.js'
import { Grammar } from './grammar.js'
import { jsonFormats } from './json-formats.js'
import { quoted, separated, spaced, stringCharacter } from './json-text.js'
import type { Build } from './json-text.js'
import { addRegex } from './regex.js'
import { count, isObject, isOfType, KEYWORDS, only, pointedAt, TYPES, wrong } from './schema-keywords.js'
import type { Schema } from './schema-keywords.js'

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
    const comma: Build = at => spaced(grammar, at, ',')
    if (!Array.isArray(required)) throw wrong('required must be a list of names', path)
    const open: Build = from => grammar.text(from, '{')
    if (properties === undefined) {
      if (required.length > 0) throw wrong('required needs properties with these names', path)
      if (additionalProperties === false) return from => grammar.text(open(from), '}')
      const value = this.inner(additionalProperties, `${path}/additionalProperties`)
      const member: Build = from => value(spaced(grammar, this.string({}, path)(from), ':'))
      return from => grammar.text(separated(grammar, open(from), 0, Infinity, member), '}')
    }
    if (!isObject(properties)) throw wrong('properties must be an object', path)
    const members = Object.entries(properties).map(([name, schema]) => {
      const at = `${path}/properties/${name}`
      const rule = this.ruleOf(at, () => this.inner(schema, at))
      const key = `${JSON.stringify(name)}:`
      return { name, build: (from: number): number => rule(spaced(grammar, from, key)) }
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
        grammar.jump(build(comma(some)), next.some)
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
    const comma: Build = at => spaced(grammar, at, ',')
    const least = count(minItems, 'minItems', path)
    const most = maxItems === Infinity ? Infinity : count(maxItems, 'maxItems', path)
    if (least > most) throw wrong(`minItems is ${least}, more than maxItems, ${most}`, path)
    if (!Array.isArray(prefixItems)) throw wrong('prefixItems must be a list of schemas', path)
    const item = this.ruleOf(`${path}/items`, () => this.inner(items, `${path}/items`))
    const first = prefixItems.map((schema, i) => this.inner(schema, `${path}/prefixItems/${i}`))
    if (first.length === 0)
      return from => grammar.text(separated(grammar, grammar.text(from, '['), least, most, item), ']')
    if (most < first.length) throw wrong('maxItems must be at least the number of prefixItems', path)
    return from => {
      let at = grammar.text(from, '[')
      first.forEach((build, i) => (at = build(i === 0 ? at : comma(at))))
      at = grammar.repeat(at, Math.max(0, least - first.length), most - first.length, inner => item(comma(inner)))
      return grammar.text(at, ']')
    }
  }

  private string({ minLength = 0, maxLength = Infinity, pattern, format }: Schema, path: string): Build {
    const { grammar } = this
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
      return quoted(grammar, from =>
        addRegex(grammar, from, pattern, {
          isSearch: true,
          place: path,
          character: (at, ranges) => stringCharacter(grammar, at, ranges),
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
      return quoted(grammar, from => addRegex(grammar, from, expression))
    }
    const character = this.ruleOf('character', () => from => stringCharacter(grammar, from, [[0, 0x10ffff]]))
    return quoted(grammar, from => grammar.repeat(from, least, most, character))
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
}

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** The deepest nesting that is read or written. Recursion over deeper values would overflow the stack. */
const maxDepth = 100
/** The maximum number of characters of a number. */
const maxToken = 64

/**
 * Reads JSON from untrusted files strictly, one value at a time. Unlike JSON.parse it refuses duplicate keys (parsers
 * disagree which one counts) and the key `__proto__`, it builds only the values that its caller asks for, and its
 * errors name the position.
 */
export class JsonReader {
  private at = 0
  private depth = 0

  /** `fail` makes the error to throw from a message such as `character 17: expected ":"`. */
  constructor(
    private readonly source: string,
    private readonly fail: (message: string) => Error,
  ) {}

  /** Reads an object; `visit` must read the value of each key. */
  object(visit: (key: string) => void): void {
    this.expect('{')
    this.enter()
    const seen = new Set<string>()
    if (!this.accept('}')) {
      do {
        const key = this.string()
        if (key === '__proto__') throw this.error('the key "__proto__" is not allowed')
        if (seen.has(key)) throw this.error(`the key ${JSON.stringify(key.slice(0, 100))} appears twice in one object`)
        seen.add(key)
        this.expect(':')
        visit(key)
      } while (this.accept(','))
      this.expect('}')
    }
    this.depth--
  }

  /** Reads an array; `visit` must read each item. */
  array(visit: () => void): void {
    this.expect('[')
    this.enter()
    if (!this.accept(']')) {
      do visit()
      while (this.accept(','))
      this.expect(']')
    }
    this.depth--
  }

  // Without regular expressions: on long texts they may overflow the stack.
  string(): string {
    if (this.peek() !== '"') throw this.error('expected a string')
    const start = this.at++
    let plain = true
    for (; ; this.at++) {
      const code = this.source.charCodeAt(this.at)
      if (code === 0x22) break
      if (!(code >= 0x20)) throw this.error('expected the rest of a string') // a control character, or NaN past the end
      if (code === 0x5c) {
        plain = false
        this.at++
      }
    }
    this.at++
    if (plain) return this.source.slice(start + 1, this.at - 1)
    try {
      return JSON.parse(this.source.slice(start, this.at)) as string
    } catch {
      this.at = start
      throw this.error('a string with a wrong escape sequence')
    }
  }

  /** Whether the next value is null, which is then read. */
  acceptNull(): boolean {
    this.peek()
    if (!this.source.startsWith('null', this.at)) return false
    this.at += 4
    return true
  }

  number(): number {
    return Number(this.token(/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/, 'a number'))
  }

  /** A number written without a fraction or an exponent, and small enough to be exact. */
  integer(): number {
    const value = Number(this.token(/^-?(?:0|[1-9]\d*)(?![\d.eE])/, 'an integer'))
    if (!Number.isSafeInteger(value)) throw this.error('an integer past 2^53')
    return value + 0 // -0 is 0
  }

  /** Reads any value into plain data. */
  value(): Json {
    switch (this.peek()) {
      case '{': {
        const entries: [string, Json][] = []
        this.object(key => entries.push([key, this.value()]))
        return Object.fromEntries(entries)
      }
      case '[': {
        const items: Json[] = []
        this.array(() => items.push(this.value()))
        return items
      }
      case '"':
        return this.string()
      case 't':
      case 'f':
      case 'n':
        return JSON.parse(this.token(/^(?:true|false|null)/, 'a value')) as Json
      default:
        return this.number()
    }
  }

  /** Reads any value, and returns its text. */
  text(): string {
    this.peek()
    const start = this.at
    this.value()
    return this.source.slice(start, this.at)
  }

  /** Throws unless only white space follows. */
  end(): void {
    if (this.peek() !== undefined) throw this.error('expected the end')
  }

  private peek(): string | undefined {
    for (;;) {
      const c = this.source[this.at]
      if (c !== ' ' && c !== '\n' && c !== '\t' && c !== '\r') return c
      this.at++
    }
  }

  private accept(c: string): boolean {
    if (this.peek() !== c) return false
    this.at++
    return true
  }

  private expect(c: string): void {
    if (!this.accept(c)) throw this.error(`expected ${JSON.stringify(c)}`)
  }

  private enter(): void {
    if (++this.depth > maxDepth) throw this.error(`nested more than ${maxDepth} deep`)
  }

  private token(pattern: RegExp, what: string): string {
    this.peek()
    const match = pattern.exec(this.source.slice(this.at, this.at + maxToken))
    if (match === null || match[0].length === maxToken) throw this.error(`expected ${what}`)
    this.at += match[0].length
    return match[0]
  }

  private error(message: string): Error {
    const place = this.at < this.source.length ? `character ${this.at + 1}` : 'at its end'
    return this.fail(`${place}: ${message}`)
  }
}

/** Parses a whole JSON text strictly into plain data. */
export function parseJson(text: string, fail: (message: string) => Error): Json {
  const reader = new JsonReader(text, fail)
  const value = reader.value()
  reader.end()
  return value
}

/**
 * The values of a JSON text that holds an object, as they are written in it: 1.0 is not 1. Empty for another text that
 * is JSON.
 */
export function valueTexts(text: string, fail: (message: string) => Error): { readonly [key: string]: string } {
  if (!text.trimStart().startsWith('{')) return {}
  const reader = new JsonReader(text, fail)
  const entries: [string, string][] = []
  reader.object(key => entries.push([key, reader.text()]))
  return Object.fromEntries(entries)
}

/**
 * The path of a part of a value that JSON cannot represent exactly (NaN, a bigint, a Date, a cycle ...), which
 * JSON.stringify would drop or change silently; undefined if there is none. Undefined properties count as absent.
 */
export function findNotJson(value: unknown, path = '', depth = 1): string | undefined {
  const here = path === '' ? 'the value' : path
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${here} is ${value}`
  if (typeof value !== 'object') return `${here} is of type ${typeof value}`
  if (depth > maxDepth) return `${here} is nested more than ${maxDepth} deep`
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = findNotJson(value[i], `${path}[${i}]`, depth + 1)
      if (found !== undefined) return found
    }
    return undefined
  }
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && proto !== null) return `${here} is not a plain object`
  for (const [key, child] of Object.entries(value)) {
    const childPath = path === '' ? key : `${path}.${key}`
    if (key === '__proto__' || key === 'toJSON') return `${childPath} is not an allowed key`
    const found = child === undefined ? undefined : findNotJson(child, childPath, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

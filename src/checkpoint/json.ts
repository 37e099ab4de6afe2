/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Deeper nesting is refused, reading and writing: it is never meant, and recursion over it would end in a stack overflow. */
const maxDepth = 100
/** No number is written with more characters. */
const maxToken = 64

/**
 * Reads JSON strictly, one value at a time, for files that nobody vouches for. Unlike JSON.parse it refuses an object
 * that holds a key twice (readers disagree about which one counts) and the key `__proto__`, it never builds more than
 * its caller asks for, and it says where it stopped.
 */
export class JsonReader {
  private at = 0
  private depth = 0

  /** `fail` makes the error to be thrown of a message such as `character 17: expected ":"`. */
  constructor(
    private readonly text: string,
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
        if (seen.has(key)) throw this.error(`the key ${JSON.stringify(key.slice(0, 100))} stands twice in one object`)
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

  // No regular expressions over text of unbounded length: theirs may take a stack as long as the text.
  string(): string {
    if (this.peek() !== '"') throw this.error('expected a string')
    const start = this.at++
    let plain = true
    for (; ; this.at++) {
      const code = this.text.charCodeAt(this.at)
      if (code === 0x22) break
      if (!(code >= 0x20)) throw this.error('expected the rest of a string') // a control character, or NaN past the end
      if (code === 0x5c) {
        plain = false
        this.at++
      }
    }
    this.at++
    if (plain) return this.text.slice(start + 1, this.at - 1)
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string
    } catch {
      this.at = start
      throw this.error('a string with a wrong escape sequence')
    }
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

  /** A whole value as plain data. */
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

  /** Nothing but white space may follow. */
  end(): void {
    if (this.peek() !== undefined) throw this.error('expected the end')
  }

  private peek(): string | undefined {
    for (;;) {
      const c = this.text[this.at]
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
    const match = pattern.exec(this.text.slice(this.at, this.at + maxToken))
    if (match === null || match[0].length === maxToken) throw this.error(`expected ${what}`)
    this.at += match[0].length
    return match[0]
  }

  private error(message: string): Error {
    const place = this.at < this.text.length ? `character ${this.at + 1}` : 'at its end'
    return this.fail(`${place}: ${message}`)
  }
}

/** One whole JSON text as plain data, read strictly. */
export function parseJson(text: string, fail: (message: string) => Error): Json {
  const reader = new JsonReader(text, fail)
  const value = reader.value()
  reader.end()
  return value
}

/**
 * Where a value would not come back from JSON as it is (NaN, a bigint, a Date, a cycle ...), or undefined if all of it
 * does. JSON.stringify would drop or change such values in silence. Undefined properties count as absent.
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

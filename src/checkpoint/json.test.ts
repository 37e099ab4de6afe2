import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findNotJson, parseJson } from './json.js'

const parse = (text: string): unknown => parseJson(text, message => new SyntaxError(message))

describe('parseJson', () => {
  it('reads what JSON.parse reads', () =>
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), fc.nat(3), (text, indent) => {
        fc.pre(!text.includes('__proto__'))
        const value: unknown = JSON.parse(text)
        expect(parse(JSON.stringify(value, null, indent))).toEqual(value)
      }),
    ))

  it('refuses what JSON.parse refuses', () =>
    fc.assert(
      fc.property(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', ']', '0', '\\', 'e', '\n', '-'),
        (text, place, token) => {
          const at = place % (text.length + 1)
          const broken = text.slice(0, at) + token + text.slice(at + 1)
          let theirs: unknown
          try {
            theirs = JSON.parse(broken)
          } catch {
            expect(() => parse(broken)).toThrow(SyntaxError)
            return
          }
          try {
            expect(parse(broken)).toEqual(theirs)
          } catch (error) {
            expect((error as Error).message).toMatch(/appears twice|__proto__/) // the only differences
          }
        },
      ),
      { numRuns: 1000 },
    ))

  it.each([
    ['{"a":1,"a":1}', /character \d+: the key "a" appears twice/],
    ['{"a":{"b":[],"\\u0062":1}}', /"b" appears twice/],
    ['{"__proto__":1}', /"__proto__" is not allowed/],
    ['{"\\u005f_proto__":1}', /"__proto__" is not allowed/],
    [`${'['.repeat(101)}${']'.repeat(101)}`, /nested more than 100/],
    ['['.repeat(1e6), /nested more than 100/],
    ['', /at its end/],
    ['1 2', /character 3: expected the end/],
  ])('refuses %s', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })
})

describe('findNotJson', () => {
  it('finds nothing in JSON', () =>
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), value => {
        fc.pre(!JSON.stringify(value).includes('__proto__'))
        expect(findNotJson(value)).toBeUndefined()
      }),
    ))

  it('says where the first value is that would not come back', () => {
    expect(findNotJson(NaN)).toBe('the value is NaN')
    expect(findNotJson({ a: [1, { b: Infinity }] })).toBe('a[1].b is Infinity')
    expect(findNotJson({ a: 1n })).toBe('a is of type bigint')
    expect(findNotJson({ a: new Date(0) })).toBe('a is not a plain object')
    expect(findNotJson({ a: new Float32Array(2) })).toBe('a is not a plain object')
    expect(findNotJson([undefined])).toBe('[0] is of type undefined')
    expect(findNotJson({ a: undefined })).toBeUndefined()
    expect(findNotJson({ toJSON: 1 })).toBe('toJSON is not an allowed key')
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(findNotJson(cycle)).toMatch(/nested more than 100 deep/)
  })
})

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ByteVocabulary } from '../../text/bytes.js'
import { SentencePieceVocabulary } from '../../text/sentencepiece.js'
import { WordVocabulary } from '../../text/symbols.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import { searchOf } from '../choose-search.js'
import { randomStream } from '../random-stream.js'
import type { ScoreProcessor } from '../processors.js'
import type { TextOptions } from '../text-options.js'

const root = resolve(import.meta.dirname, '../../..')
const read = (path: string): Buffer => readFileSync(resolve(root, path))
const t5 = SentencePieceVocabulary.fromModel(read('assets/t5-vocab/spiece.model'))
const vocabularies: { [name: string]: Vocabulary } = {
  T5: t5,
  'byte fallback': SentencePieceVocabulary.fromModel(read('test/fixtures/vocabulary/small.model'), 0),
  bytes: new ByteVocabulary(),
}

/** The answer of a model whose scores are random. Short texts, and those that end an answer, have higher scores. */
function noise(
  vocabulary: Vocabulary,
  options: TextOptions,
  seed = 0,
): { text: string; isWhole: boolean; ids: number[] } {
  const specialIds = { padId: 0, eosIds: [vocabulary.eosId], unkId: 2, decoderStartId: 0 }
  const search = searchOf(
    { maxNewTokens: 200, seed, ...options },
    { config: { specialIds }, limit: 200, vocabulary, input: [] },
  )
  const random = randomStream(seed, 1)
  const favoured = [vocabulary.eosId, ...[...'"}],@.bcx'].flatMap(text => vocabulary.encode(`a${text}`).slice(-1))]
  const logits = new Float32Array(search.rows * (vocabulary.size + 28))
  let next
  do {
    for (let i = 0; i < logits.length; i++) logits[i] = 4 * random()
    for (const id of favoured) logits[id] += 12
    next = search.next(logits)
  } while (next !== null)
  const ids = [...search.answers()[0].tokens]
  return { text: vocabulary.decode(ids), isWhole: ids.at(-1) === vocabulary.eosId, ids }
}

describe.each(Object.entries(vocabularies))('answers of tokens of %s', (name, vocabulary) => {
  it.each([
    'yes|no|maybe',
    '\\d{4}-\\d{2}-\\d{2}',
    '(a|ab)(c|bcd)*(d*)x',
    '[^a-y]{1,3}z',
    '\\w+@\\w+\\.(com|org)',
    '(?:é|ü|[α-ω]){2,5}',
    '^.{3}$',
    '\\p{Lu}\\p{Ll}{2,}',
    '😀|[🚀-🛸]{1,2}',
    '(x?y?z?){0,3}!',
    '\\s?-?(0|[1-9]\\d*)(\\.\\d+)?%',
    '',
  ])('match %s', regex => {
    // T5 has no tokens for other alphabets.
    if (name === 'T5' && /α|😀/.test(regex)) return
    const whole = new RegExp(`^(?:${regex})$`, 'u')
    const texts = Array.from({ length: 6 }, (_, seed) => noise(vocabulary, { regex }, seed))
    for (const { text, isWhole } of texts) if (isWhole) expect(text).toMatch(whole)
    expect(texts.filter(({ isWhole }) => isWhole).length).toBeGreaterThan(2)
  })

  if (name !== 'T5')
    it.each([
      true,
      { type: 'object' },
      { type: ['integer', 'null'] },
      { enum: ['red', 3, null, { a: [1, 'é"'] }] },
      { const: 'a"b\n' },
      { type: ['integer', 'null'], enum: [1, 'a', null, 2.5] },
      { type: 'array', items: { type: 'boolean' }, minItems: 2, maxItems: 3 },
      { type: 'array', prefixItems: [{ type: 'number' }, { type: 'string' }], items: { type: 'null' } },
      { type: 'string', minLength: 2, maxLength: 4 },
      { type: 'string', pattern: '^[a-c"\\\\\\n]{1,4}$' },
      { type: 'string', pattern: 'b+c' },
      { type: 'object', additionalProperties: { type: 'integer' } },
      {
        type: 'object',
        properties: { name: { type: 'string' }, age: { type: 'integer' }, 'tags"': { items: { enum: ['a', 'b'] } } },
        required: ['age'],
        additionalProperties: false,
      },
      { properties: {} },
      { anyOf: [{ type: 'integer' }, { type: 'array', items: { $ref: '#' } }] },
      {
        $ref: '#/$defs/tree',
        $defs: {
          tree: {
            type: 'object',
            properties: { value: { type: 'integer' }, children: { type: 'array', items: { $ref: '#/$defs/tree' } } },
            required: ['value', 'children'],
          },
        },
      },
    ])('are JSON that is valid by %j', schema => {
      const valid = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
      const texts = Array.from({ length: 6 }, (_, seed) => noise(vocabulary, { jsonSchema: schema }, seed))
      for (const { text, isWhole } of texts)
        if (isWhole) expect(valid.safeParse(JSON.parse(text)).error).toBe(undefined)
      expect(texts.filter(({ isWhole }) => isWhole).length).toBeGreaterThan(1)
    })

  it('are one of the choices, as the vocabulary divides it into tokens', () => {
    const choices = ['the', 'the router', 'a', 'no']
    for (let seed = 0; seed < 8; seed++) {
      const { text, ids } = noise(vocabulary, { choices }, seed)
      expect(choices).toContain(text)
      expect(ids).toEqual([...vocabulary.encode(text), vocabulary.eosId])
    }
    expect(noise(vocabulary, { choices: ['no'], temperature: undefined, seed: undefined }).text).toBe('no')
  })
})

describe('constraints', () => {
  const bytes = vocabularies.bytes
  it('also hold for beams, and after a prefix', () => {
    const options = { regex: '[ab]{3}c', seed: undefined }
    expect(noise(bytes, { ...options, numBeams: 4 }).text).toMatch(/^[ab]{3}c$/)
    expect(noise(t5, { regex: ' (north|south)', prefix: t5.encode('go'), seed: 1 }).text).toMatch(/^(north|south)$/)
  })

  it('to choices compare them as wholes, with as many beams', () => {
    const options = { maxNewTokens: 9, choices: ['ab', 'cd'] }
    const answer = (more: TextOptions): string => {
      const search = searchOf({ ...options, ...more }, { config: {}, limit: 9, vocabulary: bytes, input: [] })
      // "a" is more probable than "c", but then "b" is improbable.
      const [a, b, c, d] = bytes.encode('abcd')
      const logits = new Float32Array(search.rows * bytes.size)
      for (let row = 0; row < search.rows; row++) {
        logits.set([5], row * bytes.size + a)
        logits.set([4], row * bytes.size + c)
        logits.set([-9], row * bytes.size + b)
        logits.set([3], row * bytes.size + d)
      }
      while (search.next(logits) !== null);
      return bytes.decode(search.answers()[0].tokens)
    }
    expect(answer({})).toBe('ab')
    expect(answer({ numBeams: 2, lengthPenalty: 0 })).toBe('cd')
  })

  it.each([
    [{ regex: '(' }, 'the regular expression "(" cannot be read'],
    [{ regex: 'a(?=b)' }, '(?=b), which is not supported'],
    [{ regex: '(a)\\1' }, '\\1, which is not supported'],
    [{ regex: '(a{500}){1000}' }, 'too large'],
    [{ regex: 'a', choices: ['b'] }, 'choices and regex cannot be combined'],
    [{ choices: [] }, 'choices is empty'],
    [{ jsonSchema: { type: 'strange' } }, 'at #: the type "strange" is none of'],
    [{ jsonSchema: { properties: { a: { minimum: 3, type: 'integer' } } } }, 'at #/properties/a: the keyword minimum'],
    [{ jsonSchema: { $ref: '#/nothing' } }, '"#/nothing" is no part of this schema'],
    [{ jsonSchema: { $ref: '#/%zz' } }, '"#/%zz" is no part of this schema'],
    [{ jsonSchema: { properties: {}, required: 'a' } }, 'required must be a list'],
    [{ jsonSchema: { $ref: '#' } }, 'at #: "#" refers to itself without'],
    [{ jsonSchema: { anyOf: [{ $ref: '#' }, { type: 'null' }] } }, 'refers to itself'],
    [{ jsonSchema: { required: ['a'], properties: {} } }, 'required has "a", which is not in properties'],
    [{ jsonSchema: { type: 'string', const: 3 } }, 'no value of [3] is of the type string'],
    [{ jsonSchema: { enum: [] } }, 'at #: enum has no values'],
    [{ jsonSchema: { type: [] } }, 'type is an empty list'],
    [{ jsonSchema: { minItems: 3, maxItems: 2 } }, 'minItems is 3, more than maxItems, 2'],
    [{ jsonSchema: { items: { minLength: 3, maxLength: 2 } } }, 'at #/items: minLength is 3, more than maxLength, 2'],
    [{ jsonSchema: { format: 'iban' } }, 'the format "iban" is none of date, time'],
    [{ jsonSchema: { format: 'date', minLength: 3 } }, 'minLength and format cannot be combined'],
    [{ jsonSchema: { properties: { a: { pattern: '(' } } } }, '"(" at #/properties/a cannot be read'],
    [
      { jsonSchema: { properties: { a: { pattern: '[]' } }, required: ['a'] } },
      "no answer of this model's tokens fits the JSON schema: there is none at #/properties/a",
    ],
    [{ regex: 'a[]' }, 'no answer of this model\'s tokens fits the regular expression "a[]"'],
    [{ jsonSchema: false }, "no answer of this model's tokens fits"],
  ] as [TextOptions, string][])('refuse %j', (options, message) => {
    expect(() => noise(bytes, options)).toThrow(message)
  })

  it('refuse what is nested too deeply, and repeat no long expression', () => {
    const references = Array.from({ length: 20_000 }, (_, i) => ({ $ref: `#/$defs/${i + 1}` }))
    const jsonSchema = { $ref: '#/$defs/0', $defs: [...references, {}] }
    expect(() => noise(bytes, { jsonSchema })).toThrow('nested too deeply')
    for (const brackets of [20_000, 100])
      expect(() => noise(bytes, { regex: '('.repeat(brackets) })).toThrow(/^the regular expression "\({60}…" .{0,80}$/)
  })

  it('allow a space before the first word, which is no part of the text', () => {
    // T5's tokens of "a" are a space and the letter.
    const [space, letter] = t5.encode('a')
    const only: ScoreProcessor = (scores, tokens) => {
      const wanted = [space, letter, 1][tokens.length - 1]
      const score = scores[wanted]
      scores.fill(-Infinity)
      scores[wanted] = score
    }
    expect(noise(t5, { regex: 'a', processors: [only] })).toEqual({ text: 'a', isWhole: true, ids: [space, letter, 1] })
  })

  it('allow only tokens after which others can complete the text', () => {
    const words = WordVocabulary.fromTexts(['HH AH L OW', 'HHX X'])
    for (let seed = 0; seed < 8; seed++) {
      // After HH, A and H would fit the first alternative; then no token would.
      const { text, isWhole } = noise(words, { regex: '(HH [A-Z]{2}|L)( ZZ| OW)' }, seed)
      expect({ text, isWhole }).toEqual({
        text: expect.stringMatching(/^(HH AH|HH OW|L) OW$/) as unknown,
        isWhole: true,
      })
    }
    expect(() => noise(words, { regex: 'HH XX' })).toThrow(
      'fits the regular expression "HH XX", though it has their characters: they are only in tokens that do not fit',
    )
    expect(() => noise(words, { regex: 'HH a' })).toThrow('"HH a". Its vocabulary has no token with a')
  })

  it('follow any regular expression, or refuse it as too costly', () => {
    const random = randomStream(3)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]
    const parts = ['.', 'a', '[a-z]', '\\w', '[^x]', '\\p{L}', 'the', '\\s', '[ab]']
    const counts = ['', '', '?', '*', '+', '{2}', '{3,50}', '{20}', '{300}', '{0,900}']
    const some = (depth: number): string =>
      depth === 0
        ? pick(parts)
        : `(${some(depth - 1)}${pick(['', `|${some(depth - 1)}`])})${pick(counts)}${pick(['', some(0)])}`
    const ran = Array.from({ length: 40 }, (_, seed): boolean => {
      const regex = some(1 + (seed % 3))
      try {
        noise(t5, { regex, maxNewTokens: 6 }, seed)
        return true
      } catch (error) {
        expect((error as Error).message).toMatch(/is too costly|is too large|no answer of this model's tokens/)
        return false
      }
    })
    expect(() => noise(t5, { regex: '(.?.?){900}' })).toThrow('"(.?.?){900}" is too costly')
    expect(ran.filter(is => is).length).toBeGreaterThan(15)
  })

  it("name the characters that a model's vocabulary lacks", () => {
    expect(() => noise(t5, { jsonSchema: { type: 'object' } })).toThrow(
      /fits the JSON schema: there is none at #\. Its vocabulary has no token with { }$/,
    )
    expect(() => noise(t5, { regex: 'é[α-ω]+日😀' })).toThrow(
      / "é\[α-ω\]\+日😀"\. Its vocabulary has no token with α-ω 日 😀$/,
    )
    expect(() => noise(t5, { choices: ['{'] })).toThrow('has text that')
  })
})

describe('docs/restricted-answers.md', () => {
  /** The rows of a table, by the heading above it; `\|` in a cell is `|`. */
  const rows = (heading: string): { source: string; isSupported: boolean; what: string }[] =>
    read('docs/restricted-answers.md')
      .toString()
      .split(`## ${heading}\n`)[1]
      .split('\n## ')[0]
      .split('\n')
      .filter(line => line.startsWith('| `'))
      .map(line => line.replaceAll('\\|', '\0').split(' | '))
      .map(([source, supported, what]) => ({
        source: /`(.*)`/.exec(source)![1].replaceAll('\0', '|'),
        isSupported: supported === 'yes',
        what,
      }))

  it.each(rows('Regular expressions'))('says of $source whether it is supported: $isSupported', row => {
    const { source: regex, isSupported, what } = row
    if (!isSupported) return expect(() => noise(vocabularies.bytes, { regex })).toThrow('the regular expression')
    const whole = new RegExp(`^(?:${regex})$`, 'u')
    const example = /`(.*?)`/.exec(what)?.[1]
    if (example !== undefined) expect(example).toMatch(whole)
    const texts = Array.from({ length: 4 }, (_, seed) => noise(vocabularies.bytes, { regex }, seed))
    for (const { text, isWhole } of texts) if (isWhole) expect(text).toMatch(whole)
    expect(texts.some(({ isWhole }) => isWhole)).toBe(true)
  })

  const other = /also (.*?)(?:, and unknown keywords)? \|$/
  const schemas = rows('JSON schemas').flatMap(({ source, isSupported, what }) => [
    { schema: JSON.parse(source) as object, isSupported },
    ...(isSupported ? [] : [...(other.exec(what)?.[1] ?? '').matchAll(/`([^`]+)`/g)]).map(([, keyword]) => ({
      schema: { [keyword]: 1 } as object,
      isSupported,
    })),
  ])
  it.each(schemas)('says of $schema whether it is supported: $isSupported', ({ schema, isSupported }) => {
    if (!isSupported)
      return expect(() => noise(vocabularies.bytes, { jsonSchema: schema })).toThrow(
        /the JSON schema cannot be followed/,
      )
    const texts = Array.from({ length: 6 }, (_, seed) => noise(vocabularies.bytes, { jsonSchema: schema }, seed))
    for (const { text, isWhole } of texts) if (isWhole) expect(() => JSON.parse(text) as unknown, text).not.toThrow()
    expect(texts.some(({ isWhole }) => isWhole)).toBe(true)
  })

  it.each([
    ['date', /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])$/],
    ['time', /^\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/],
    ['date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/],
    ['uuid', /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/],
    ['email', /^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$/],
    ['ipv4', /^\d{1,3}(\.\d{1,3}){3}$/],
  ])('the format %s', (format, valid) => {
    for (let seed = 0; seed < 4; seed++) {
      const { text, isWhole } = noise(vocabularies.bytes, { jsonSchema: { format }, maxNewTokens: 200 }, seed)
      if (isWhole) expect(JSON.parse(text)).toMatch(valid)
      if (isWhole && format.startsWith('date')) expect(new Date(JSON.parse(text) as string)).not.toBeNaN()
    }
  })
})

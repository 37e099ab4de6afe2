import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ByteVocabulary } from '../../text/bytes.js'
import { SentencePieceVocabulary } from '../../text/sentencepiece.js'
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
    [{ jsonSchema: { $ref: '#' } }, "no answer of this model's tokens fits"],
    [{ jsonSchema: { anyOf: [{ $ref: '#' }, { type: 'null' }] } }, 'refers to itself'],
    [{ jsonSchema: { required: ['a'], properties: {} } }, 'required has "a", which is not in properties'],
    [{ jsonSchema: { type: 'string', const: 3 } }, "no answer of this model's tokens fits"],
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

  it("name the characters that a model's vocabulary lacks", () => {
    expect(() => noise(t5, { jsonSchema: { type: 'object' } })).toThrow(/: it has no tokens with { \\ }$/)
    expect(() => noise(t5, { choices: ['{'] })).toThrow('has characters that')
  })
})

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { toBase64 } from './base64.js'
import { parseSentencePieceModel } from './spiece-model.js'
import { inputIds, targetIds } from './special-tokens.js'
import { fromTokenizerJson } from './tokenizer-json.js'
import { vocabularyConformance } from '../../test/conformance/vocabulary.js'

const root = resolve(import.meta.dirname, '../..')
const t5Model = parseSentencePieceModel(readFileSync(resolve(root, 'assets/t5-vocab/spiece.model')))
const charsmap = toBase64(t5Model.normalizer.charsmap)
const special = ['<pad>', '</s>', '<unk>'].map((content, id) => ({ id, content, special: true }))
const metaspace = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', add_prefix_space: true }

/**
 * A tokenizer.json of T5 in the form of transformers 5, made of its spiece.model. Sentinels are pieces, as well as
 * added tokens.
 */
const t5Json = {
  version: '1.0',
  added_tokens: [
    ...special,
    ...Array.from({ length: 100 }, (_, i) => ({ id: 32_000 + i, content: `<extra_id_${99 - i}>`, special: true })),
  ],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Precompiled', precompiled_charsmap: charsmap },
      { type: 'Strip', strip_left: false, strip_right: true },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '\u2581' },
    ],
  },
  pre_tokenizer: { ...metaspace, prepend_scheme: 'first' },
  decoder: metaspace,
  model: {
    type: 'Unigram',
    unk_id: 2,
    vocab: [
      ...t5Model.pieces.map(({ text, score }) => [text, score]),
      ...Array.from({ length: 100 }, (_, i) => [`<extra_id_${99 - i}>`, 0]),
    ],
    byte_fallback: false,
  },
}

/** The older form: sentinels are added tokens only, not pieces. */
const t5OldJson = {
  added_tokens: t5Json.added_tokens,
  normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '\u2581', add_prefix_space: true }],
  },
  decoder: metaspace,
  model: { type: 'Unigram', unk_id: 2, vocab: t5Json.model.vocab.slice(0, 32_000) },
}

const caseFile = (path: string): unknown =>
  JSON.parse(readFileSync(resolve(root, 'test/fixtures/cases', path), 'utf8')) as unknown
const bpeJson = caseFile('18-bpe-tokenizer-json/tokenizer.json') as Record<string, unknown>

const bytePieces = Array.from({ length: 256 }, (_, byte) => [
  `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  0,
])
const smallJson = {
  added_tokens: special,
  normalizer: null,
  pre_tokenizer: metaspace,
  decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] },
  model: {
    type: 'Unigram',
    unk_id: 2,
    vocab: [['<pad>', 0], ['</s>', 0], ['<unk>', 0], ...bytePieces, ['\u2581', -2], ['\u2581a', -3], ['b', -4]],
    byte_fallback: true,
  },
}

// Metaspace alone writes two spaces as one, and one as none: its texts change each time that they are decoded.
const wordsJson = {
  ...smallJson,
  pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] },
}
vocabularyConformance('tokenizer.json with byte fallback', () => fromTokenizerJson(wordsJson), [
  '',
  'ab a',
  'b \u{1f680}日',
])

describe('a tokenizer.json', () => {
  const { cases } = JSON.parse(
    readFileSync(resolve(root, 'test/fixtures/vocabulary/tokenizer-cases.json'), 'utf8'),
  ) as { cases: { text: string; spm_ids: number[]; decoded: string }[] }

  for (const [form, json] of [
    ['as transformers 5 writes it', t5Json],
    ['as older ones wrote it', t5OldJson],
  ] as const) {
    it(`of T5 is exact with sentencepiece, ${form}`, () => {
      const vocabulary = fromTokenizerJson(JSON.parse(JSON.stringify(json)))
      for (const { text, spm_ids: ids, decoded } of cases) {
        if (!text.includes('<extra_id_')) expect(vocabulary.encode(text), text).toEqual(ids)
        expect(vocabulary.decode(ids)).toBe(decoded)
      }
      expect(vocabulary.size).toBe(32_100)
      expect(vocabulary.encode('Thank you <extra_id_0> me to your party <extra_id_1> week.')).toEqual([
        1562, 25, 32_099, 140, 12, 39, 1088, 32_098, 471, 5,
      ])
    })
  }

  it('adds no space first where it says so', () => {
    const vocabulary = fromTokenizerJson({ ...smallJson, pre_tokenizer: { ...metaspace, prepend_scheme: 'never' } })
    expect(vocabulary.encode('b a')).toEqual([261, 260])
    expect(fromTokenizerJson(smallJson).encode('b a')).toEqual([259, 261, 260])
  })

  it('may have as many pieces as mT5', () => {
    const vocab = [
      ...special.map(({ content }) => [content, 0]),
      ...Array.from({ length: 250_000 }, (_, i) => [`t${i}`, -1]),
    ]
    const vocabulary = fromTokenizerJson({ ...smallJson, model: { type: 'Unigram', unk_id: 2, vocab } })
    expect(vocabulary.size).toBe(250_003)
  })

  it('may leave out the type of its model, as those of early versions of the library do', () => {
    const words = { '<pad>': 0, '</s>': 1, '<unk>': 2, a: 3, b: 4, ab: 5, '##b': 6 }
    const vocab = Object.entries(words).map(([text, id]) => [text, -id])
    const encode = (untyped: object): number[] =>
      fromTokenizerJson({ ...smallJson, pre_tokenizer: { type: 'WhitespaceSplit' }, model: untyped }).encode('ab abb')
    expect(encode({ unk_token: '<unk>', vocab: words, merges: ['a b'] })).toEqual([5, 5, 4])
    expect(encode({ unk_token: '<unk>', vocab: words, max_input_chars_per_word: 100 })).toEqual([5, 5, 6])
    expect(encode({ unk_token: '<unk>', vocab: words })).toEqual([5, 2])
    expect(encode({ unk_id: 2, vocab })).toEqual([5, 5, 4])
  })

  const { model } = smallJson
  const nested = (depth: number): object => {
    let step: object = { type: 'NFC' }
    for (let i = 0; i < depth; i++) step = { type: 'Sequence', normalizers: [step] }
    return step
  }
  const doubling = (key: string): object => ({
    type: 'Sequence',
    [key]: Array.from({ length: 60 }, () => ({ type: 'Replace', pattern: { String: 'a' }, content: 'aa' })),
  })
  const wrong: [string, unknown, RegExp][] = [
    ['a list', [], /not a tokenizer\.json/],
    ['another model', { ...smallJson, model: { ...model, type: 'Morse' } }, /must be "Unigram"/],
    ['an unknown id far out', { ...smallJson, model: { ...model, unk_id: 1e6 } }, /unk_id/],
    ['a score that is a text', { ...smallJson, model: { ...model, vocab: [['a', '1']] } }, /vocab\[0\]\[1\]/],
    ['too few pieces', { ...smallJson, model: { ...model, vocab: [['a', 1]] }, added_tokens: [] }, /no pad token/],
    ['a normalizer that we lack', { ...smallJson, normalizer: { type: 'Shout' } }, /normalizer "Shout"/],
    [
      'a pre-tokenizer that we lack',
      { ...smallJson, pre_tokenizer: { type: 'UnicodeScripts' } },
      /pre-tokenizer "UnicodeScripts"/,
    ],
    ['a decoder that we lack', { ...smallJson, decoder: { type: 'Shout' } }, /decoder "Shout"/],
    [
      'a step in a step that we lack',
      { ...smallJson, decoder: { type: 'Sequence', decoders: [{ type: 'Shout' }] } },
      /decoder "Shout"/,
    ],
    ['a list of steps that is none', { ...smallJson, normalizer: { type: 'Sequence' } }, /normalizers undefined/],
    [
      'steps nested without end',
      { ...smallJson, normalizer: nested(20_000) },
      /normalizer[^]*nested more than 100 deep|nested more than 100 deep[^]*normalizer/,
    ],
    ...[
      ['lookahead', 'a(?=b)'],
      ['lookbehind', '(?<=a)b'],
      ['a reference to a group', '(a)\\1'],
      ['a possessive repetition', 'a++b'],
      ['an end of a word', 'a\\b'],
      ['a repetition of what may be empty', '(a*)*b'],
      ['ß without regard to case', '(?i)ss'],
    ].map(([what, Regex]): [string, unknown, RegExp] => [
      what,
      { ...smallJson, normalizer: { type: 'Replace', pattern: { Regex }, content: '' } },
      /normalizer "Replace" .* pattern .* not supported/,
    ]),
    [
      'a piece of 1,001 characters',
      { ...smallJson, model: { ...model, vocab: [...model.vocab, ['a'.repeat(1001), -1]] } },
      /a token of 1,001 characters/,
    ],
    [
      'a BPE model with dropout',
      { ...bpeJson, model: { ...(bpeJson.model as object), dropout: 0.1 } },
      /BPE model .* dropout 0\.1/,
    ],
    [
      'a merge of a token that the vocabulary lacks',
      { ...bpeJson, model: { ...(bpeJson.model as object), merges: ['a 日'] } },
      /merge \["a","日"\] .* "日"/,
    ],
    [
      'an added token with another id than the library gives it',
      { ...smallJson, added_tokens: [...special, { id: 300, content: '<sep>' }] },
      /"<sep>" .* id 300, .* gives it 262/,
    ],
    [
      'an added token of which the normalizer leaves nothing',
      {
        ...smallJson,
        normalizer: { type: 'Strip' },
        added_tokens: [...special, { id: 262, content: ' ', normalized: true }],
      },
      /normalizer .* id 262/,
    ],
    [
      'a character map that is not base64',
      { ...smallJson, normalizer: { type: 'Precompiled', precompiled_charsmap: '?' } },
      /precompiled_charsmap .* base64/,
    ],
    [
      'an added token with the id of a piece',
      { ...smallJson, added_tokens: [{ id: 260, content: '<sep>' }] },
      /"<sep>" .* id 260/,
    ],
    [
      'an added token far out',
      { ...smallJson, added_tokens: [{ id: 1e9, content: '<extra_id_0>' }] },
      /added_tokens\[0\]\.id/,
    ],
    [
      'a special token of another name',
      { ...smallJson, added_tokens: [{ id: 1, content: '<eos>' }] },
      /"<eos>" .* id 1,/,
    ],
  ]
  for (const [what, json, message] of wrong) {
    it(`is refused: ${what}`, () => {
      expect(() => fromTokenizerJson(json)).toThrow(ConfigError)
      expect(() => fromTokenizerJson(json)).toThrow(message)
    })
  }

  it('is refused while it encodes or decodes if its steps make too long a text', () => {
    const steps = { ...smallJson, normalizer: doubling('normalizers'), decoder: doubling('decoders') }
    expect(() => fromTokenizerJson(steps).encode('a')).toThrow(/steps of the normalizer .* characters of a text of 1:/)
    expect(() => fromTokenizerJson(steps).decode([260])).toThrow(/decoder "Replace" .* characters of one text/)
    const pretokenizers = Array.from({ length: 60 }, () => ({ type: 'ByteLevel' }))
    const bytes = fromTokenizerJson({ ...smallJson, pre_tokenizer: { type: 'Sequence', pretokenizers } })
    expect(() => bytes.encode('é')).toThrow(/steps of the pre-tokenizer .* characters of a text of 1:/)
  })

  it('says the first faults of a list of another form', () => {
    const texts = Array.from({ length: 1000 }, () => 'a')
    const read = (): unknown => fromTokenizerJson({ ...smallJson, model: { ...model, vocab: texts } })
    expect(read).toThrow(/^not a tokenizer\.json: [^]{1,300}$/)
  })

  it('gives a vocabulary or a ConfigError for random changes of its values', () => {
    const parts = JSON.stringify({
      ...smallJson,
      model: {
        ...model,
        vocab: [
          ['<pad>', 0],
          ['</s>', 0],
          ['<unk>', 0],
          ['a', -2],
          ['<extra_id_0>', -2],
        ],
        byte_fallback: false,
      },
    }).split(/("[^"]*"|-?\d+|true|false|null)/u) // values and keys
    const edit = fc.tuple(
      fc.nat((parts.length - 3) / 2).map(i => 2 * i + 1),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), edits => {
        const mutated = [...parts]
        for (const [at, value] of edits) mutated[at] = JSON.stringify(value)
        let json: unknown
        try {
          json = JSON.parse(mutated.join(''))
        } catch {
          return // a key that became no key
        }
        try {
          const vocabulary = fromTokenizerJson(json)
          vocabulary.decode(vocabulary.encode('ab \u{1f680}'))
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
    )
  })
})

interface Expected {
  readonly [form: string]: { readonly [text: string]: readonly number[] }
}

describe('every step of a tokenizer.json is obeyed, as in the tokenizers library', () => {
  const expected = caseFile('22-tokenizer-expect.json') as Expected
  for (const form of ['normalizer-null', 'split-false']) {
    it(form, () => {
      const vocabulary = fromTokenizerJson(caseFile(`22-tokenizer-${form}/tokenizer.json`))
      expect(Object.keys(expected[form]).length).toBe(11)
      for (const [text, ids] of Object.entries(expected[form])) expect(vocabulary.encode(text), text).toEqual(ids)
    })
  }

  const plain = caseFile('22-tokenizer-normalizer-null/tokenizer.json') as Record<string, unknown>
  it.each([
    ['Lowercase', { type: 'Lowercase' }, 'lowercase'],
    ['NFKC', { type: 'NFKC' }, 'nfkc'],
    ['a Precompiled step without a map', { type: 'Precompiled', precompiled_charsmap: null }, 'normalizer-null'],
  ])('%s', (_, normalizer, form) => {
    const vocabulary = fromTokenizerJson({ ...plain, normalizer })
    for (const [text, ids] of Object.entries(expected[form])) expect(vocabulary.encode(text), text).toEqual(ids)
  })
})

describe('a text of 50,000 characters is encoded in time, whatever the file says', () => {
  const json = { ...bpeJson, pre_tokenizer: null }
  const long = 'a'.repeat(50_000)
  const replace = (Regex: string): object => ({ type: 'Replace', pattern: { Regex }, content: '' })
  it.each([
    ['a pattern with repetitions of repetitions', { ...json, normalizer: replace('(a+)+$') }, long, 0],
    ['a pattern that fails at each character', { ...json, normalizer: replace('(a|aa)+!') }, long, 50_000],
    ['white space inside', { ...json, normalizer: { type: 'Strip' } }, `a${' '.repeat(50_000)}a`, 2],
    ['one word for BPE', { ...json, normalizer: null }, long, 50_000],
  ])('%s', (_, tokenizer, text, count) => {
    const start = performance.now()
    expect(fromTokenizerJson(tokenizer).encode(text)).toHaveLength(count)
    expect(performance.now() - start).toBeLessThan(5_000)
  })
})

describe('added tokens', () => {
  const added = (flags: object): ReturnType<typeof fromTokenizerJson> =>
    fromTokenizerJson({ ...smallJson, added_tokens: [...special, { id: 262, content: '<sep>', ...flags }] })

  it('are cut out before the pieces, and decoded', () => {
    const ids = added({}).encode('b <sep>b')
    expect(ids).toEqual([259, 261, 259, 262, 259, 261])
    expect(added({}).decode(ids)).toBe('b <sep> b')
  })

  it('take white space with them, or stand alone, as they are flagged', () => {
    expect(added({ lstrip: true }).encode('b  <sep>')).toEqual([259, 261, 262])
    expect(added({ rstrip: true }).encode('<sep>  b')).toEqual([262, 259, 261])
    // What one took is not there for the next.
    const both = fromTokenizerJson({
      ...smallJson,
      added_tokens: [
        ...special,
        { id: 262, content: '<sep>', rstrip: true },
        { id: 263, content: '  ', lstrip: true, rstrip: true },
      ],
    })
    expect(both.encode('<sep>   b')).toEqual([262, 259, 261])
    expect(added({ single_word: true }).encode('b<sep>')).not.toContain(262)
    expect(added({ single_word: true }).encode('b <sep> b')).toContain(262)
  })
})

const bpe = fromTokenizerJson(bpeJson)

describe('the post-processor', () => {
  const token = (id: string): object => ({ SpecialToken: { id, type_id: 0 } })
  const template = {
    type: 'TemplateProcessing',
    single: [token('<s>'), { Sequence: { id: 'A', type_id: 0 } }, token('</s>')],
    special_tokens: { '<s>': { id: '<s>', ids: [1] }, '</s>': { id: '</s>', ids: [2] } },
  }
  const bert = { type: 'BertProcessing', cls: ['<s>', 1], sep: ['</s>', 2] }
  const byteLevel = { type: 'ByteLevel', trim_offsets: false }
  const text = [43, 269, 275, 224, 75, 82, 88, 86, 72]
  const around = [1, ...text, 2]
  it.each([
    ['null', null, text],
    ['TemplateProcessing', template, around],
    ['RobertaProcessing', { ...bert, type: 'RobertaProcessing' }, around],
    ['BertProcessing', bert, around],
    ['ByteLevel', byteLevel, text],
    ['Sequence', { type: 'Sequence', processors: [byteLevel, template] }, around],
  ])('%s puts around an input what the tokenizers library does, and answers do not show it', (_, step, ids) => {
    const vocabulary = fromTokenizerJson({ ...bpeJson, post_processor: step })
    expect(inputIds(vocabulary, 'Hello house')).toEqual(ids)
    // Targets end with EOS even where inputs do not.
    expect(targetIds(vocabulary, 'Hello house')).toEqual(step === null || step === byteLevel ? [...text, 2] : around)
    expect(vocabulary.decode(ids)).toBe('Hello house')
    expect(vocabulary.encode('a <pad><s>b</s>')).toEqual([68, 224, 0, 1, 69, 2])
  })

  it.each([
    ['Shout', { type: 'Shout' }, /post-processor "Shout" .* not supported/],
    ['a template without the text', { ...template, single: [] }, /TemplateProcessing/],
    ['a token that the template does not list', { ...template, special_tokens: {} }, /TemplateProcessing/],
    ['two that add tokens', { type: 'Sequence', processors: [template, bert] }, /"Sequence" .* adds tokens twice/],
    ['another form', { type: 'BertProcessing', cls: 1 }, /BertProcessing/],
  ])('is refused by name: %s', (_, step, message) => {
    expect(() => fromTokenizerJson({ ...bpeJson, post_processor: step })).toThrow(message)
  })
})

vocabularyConformance('byte-level BPE', () => bpe, ['', 'def f(x):\n    return 10', '日本語 \u{1f680}'], [0, 2, 3])

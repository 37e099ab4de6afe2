import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { FileError } from '../../base/errors.js'
import { vocabularyFromJSON } from '../../text/from-json.js'
import { hfTokenizerFiles } from '../../text/hf-tokenizer.js'
import { SentencePieceVocabulary } from '../../text/sentencepiece.js'
import { inputIds } from '../../text/special-tokens.js'
import { loadT5Vocabulary, loadVocabulary } from './load-vocabulary.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-vocabulary-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const small = resolve(import.meta.dirname, '../../../test/fixtures/vocabulary/small.model')
const tokenizerJson = JSON.stringify({
  pre_tokenizer: { type: 'Metaspace', replacement: '\u2581' },
  model: {
    type: 'Unigram',
    unk_id: 2,
    vocab: [
      ['<pad>', 0],
      ['</s>', 0],
      ['<unk>', 0],
      ['\u2581a', -1],
    ],
  },
})

const cases = resolve(import.meta.dirname, '../../../test/fixtures/cases')

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function folderOf(name: string, files: Record<string, string>): string {
  const path = join(folder, name)
  mkdirSync(path)
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content)
  return path
}

describe('loadVocabulary', () => {
  it('loads a SentencePiece model by its file or folder', async () => {
    const path = folderOf('both', { 'tokenizer.json': 'not read', 'config.json': '{}' })
    copyFileSync(small, join(path, 'spiece.model'))
    const vocabulary = await loadVocabulary(path)
    expect(vocabulary.size).toBe(367 + 100)
    expect((await loadVocabulary(small)).toJSON()).toEqual(vocabulary.toJSON())
  })

  it('has no sentinels if tokenizer_config.json says so', async () => {
    const path = folderOf('without', { 'tokenizer_config.json': '{"tokenizer_class": "T5Tokenizer", "extra_ids": 0}' })
    copyFileSync(small, join(path, 'spiece.model'))
    expect((await loadVocabulary(path)).size).toBe(367)
  })

  it('has as many sentinels as tokenizer_config.json says', async () => {
    const path = folderOf('sentinels', { 'tokenizer_config.json': '{"extra_ids": 300}' })
    copyFileSync(small, join(path, 'spiece.model'))
    const { size, sentinelIds } = await loadVocabulary(path)
    expect([size, sentinelIds[0], sentinelIds[299]]).toEqual([667, 666, 367])
  })

  it('adds the tokens of added_tokens.json or added_tokens_decoder to a spiece.model', async () => {
    const t5 = resolve(import.meta.dirname, '../../../assets/t5-vocab/spiece.model')
    const tokens = { '<': 32_100, '{': 32_101, '}': 32_102 }
    const decoder = Object.fromEntries(Object.entries(tokens).map(([content, id]) => [id, { content }]))
    for (const [name, files] of [
      ['added', { 'added_tokens.json': JSON.stringify(tokens), 'config.json': '{}' }],
      ['decoder', { 'tokenizer_config.json': JSON.stringify({ added_tokens_decoder: decoder }) }],
    ] as const) {
      const path = folderOf(name, files)
      copyFileSync(t5, join(path, 'spiece.model'))
      const vocabulary = await loadVocabulary(path)
      const ids = [3, 9, 32_100, 3, 115, 32_101, 3, 75, 32_102, 3, 226]
      expect(vocabulary.encode('a<b { c }  x')).toEqual(ids)
      expect(vocabulary.decode(ids)).toBe('a< b{ c} x')
      expect(vocabulary.encode('<extra_id_0> x<extra_id_1>')).toEqual([32_099, 3, 226, 32_098])
      expect(vocabulary.size).toBe(32_103)
    }
  })

  it('loads vocab.json and merges.txt, as the tokenizer.json of the same BPE model', async () => {
    const [files, whole] = await Promise.all(
      ['18-bpe-vocab-merges', '18-bpe-tokenizer-json'].map(name => loadVocabulary(join(cases, name))),
    )
    const text = 'def f(x):\n    return 10'
    expect(files.encode(text)).toEqual(whole.encode(text))
    expect(files.decode(files.encode(text))).toBe(text)
  })

  const files = (fixture: string): Record<string, string> =>
    Object.fromEntries(
      (fixture === 'bpe' ? ['18-bpe-vocab-merges/vocab.json', '18-bpe-vocab-merges/merges.txt'] : [fixture]).map(
        path => [basename(path), readFileSync(join(cases, path), 'utf8')],
      ),
    )
  it.each([
    ['merges.txt', '#version: 0.2\na b c', /merges\.txt: line 2 is "a b c", and must be two tokens/],
    ['vocab.json', '["a"]', /vocab\.json: .*expected record/],
    [
      'tokenizer_config.json',
      '{"added_tokens_decoder":{"1.5":{"content":"a"}}}',
      /tokenizer_config\.json: .* Invalid key/,
    ],
  ])('names a file beside vocab.json and merges.txt of another form: %s', async (name, content, message) => {
    const path = mkdtempSync(join(folder, 'form-'))
    for (const [file, text] of Object.entries({ ...files('bpe'), [name]: content }))
      writeFileSync(join(path, file), text)
    await expect(loadVocabulary(path)).rejects.toThrow(message)
  })

  const bpe = [43, 269, 275, 224, 75, 82, 88, 86, 72]
  const unigram = [3, 36, 8, 15, 15, 18, 3, 11, 18, 24, 22, 8]
  it.each([
    ['vocab.json and merges.txt', 'bpe', undefined, [1, ...bpe, 2]],
    ['RobertaTokenizer', 'bpe', 'RobertaTokenizer', [1, ...bpe, 2]],
    ['RobertaTokenizer', '18-bpe-tokenizer-json/tokenizer.json', 'RobertaTokenizerFast', [1, ...bpe, 2]],
    ['GPT2Tokenizer', 'bpe', 'GPT2Tokenizer', bpe],
    ['a tokenizer.json of BPE', '18-bpe-tokenizer-json/tokenizer.json', undefined, bpe],
    ['T5Tokenizer', 'unigram', 'T5TokenizerFast', [...unigram, 1]],
    ['a model without a class', 'unigram', undefined, [...unigram, 1]],
    ['PreTrainedTokenizerFast', 'unigram', 'PreTrainedTokenizerFast', unigram],
  ])('puts around an input what the class of transformers does: %s', async (_, fixture, name, ids) => {
    const path = mkdtempSync(join(folder, 'class-'))
    const config = {
      'config.json': '{}',
      ...(name && { 'tokenizer_config.json': JSON.stringify({ tokenizer_class: name }) }),
    }
    const unigramFile = (): Record<string, string> => {
      const [json] = Object.values(files('22-tokenizer-split-false/tokenizer.json'))
      return { 'tokenizer.json': JSON.stringify({ ...(JSON.parse(json) as object), post_processor: null }) }
    }
    for (const [file, content] of Object.entries({
      ...config,
      ...(fixture === 'unigram' ? unigramFile() : files(fixture)),
    }))
      writeFileSync(join(path, file), content)
    const vocabulary = await loadVocabulary(path)
    expect(inputIds(vocabulary, 'Hello house')).toEqual(ids)
    expect(inputIds(vocabularyFromJSON(vocabulary.toJSON()), 'Hello house')).toEqual(ids)
    expect(vocabulary.decode(ids)).toBe('Hello house')
  })

  it('cuts out the special and added tokens that files beside a tokenizer.json name', async () => {
    const [json] = Object.values(files('22-tokenizer-split-false/tokenizer.json'))
    const config = {
      tokenizer_class: 'PreTrainedTokenizerFast',
      cls_token: 'e',
      added_tokens_decoder: { 143: { content: '<sep>', lstrip: true } },
    }
    const path = folderOf('named', { 'tokenizer.json': json, 'tokenizer_config.json': JSON.stringify(config) })
    const vocabulary = await loadVocabulary(path)
    expect(vocabulary.encode('o <sep>e')).toEqual([3, 18, 143, 8])
    expect(vocabulary.decode([3, 18, 8, 18])).toBe('oo')
  })

  it('loads a tokenizer.json', async () => {
    const vocabulary = await loadVocabulary(
      folderOf('json', { 'tokenizer.json': tokenizerJson, 'tokenizer_config.json': '{}' }),
    )
    expect(vocabulary.encode('a a')).toEqual([3, 3])
  })

  it("loads ByT5's, which is a configuration only", async () => {
    expect(
      (
        await loadVocabulary(
          folderOf('byt5', { 'tokenizer_config.json': '{"tokenizer_class": "ByT5Tokenizer", "extra_ids": 7}' }),
        )
      ).toJSON(),
    ).toEqual({ kind: 'bytes', sentinels: 7 })
  })

  it("loads ByT5's as transformers 5 saves it: the sentinels are added tokens, and extra_ids is 0", async () => {
    const added = Object.fromEntries(
      ['<pad>', '</s>', '<unk>', '<extra_id_0>', '<extra_id_1>'].map((content, i) => [
        i < 3 ? i : 256 + i,
        { content },
      ]),
    )
    const config = { tokenizer_class: 'ByT5Tokenizer', extra_ids: 0, added_tokens_decoder: added }
    const vocabulary = await loadVocabulary(folderOf('byt5-5', { 'tokenizer_config.json': JSON.stringify(config) }))
    expect(vocabulary.encode('a <extra_id_0> b<extra_id_2>').slice(0, 5)).toEqual([100, 35, 259, 35, 101])
    expect(vocabulary.size).toBe(261)
  })

  it("case 32: ByT5 as transformers 5 saved it has its 125 sentinels, with HF's ids", async () => {
    const vocabulary = await loadVocabulary(join(cases, '32-byt5-saved-by-transformers-5'))
    expect(vocabulary.size).toBe(384)
    expect(vocabulary.sentinelIds).toEqual(Array.from({ length: 125 }, (_, k) => 259 + k))
    expect(inputIds(vocabulary, 'a <extra_id_0></s>b c')).toEqual([100, 35, 259, 1, 101, 35, 102, 1])
    expect(inputIds(vocabulary, '<unk>x <extra_id_124> </s>')).toEqual([2, 123, 35, 383, 1])
  })

  it('case 32: T5 saved without sentinels has none, by its spiece.model and by its tokenizer.json', async () => {
    const fixture = join(cases, '32-t5-saved-without-sentinels')
    const expected = JSON.parse(readFileSync(join(fixture, 'expect.json'), 'utf8')) as Record<string, number[]>
    const model = readFileSync(resolve(import.meta.dirname, '../../../assets/t5-vocab/spiece.model'))
    const written = hfTokenizerFiles(SentencePieceVocabulary.fromModel(model, 0))!
    for (const name of ['spiece.model', 'tokenizer.json']) {
      const path = mkdtempSync(join(folder, 'case-32-'))
      copyFileSync(join(fixture, 'tokenizer_config.json'), join(path, 'tokenizer_config.json'))
      writeFileSync(join(path, name), written[name])
      const vocabulary = await loadVocabulary(path)
      expect([vocabulary.size, vocabulary.sentinelIds.length]).toEqual([32_000, 0])
      expect(Object.keys(expected).length).toBe(219)
      const wrong = Object.entries(expected).filter(([text, ids]) => `${vocabulary.encode(text)}` !== `${ids}`)
      // SentencePiece 0.2.3 rounds sums to float32, and breaks ties of long runs in another way than HF.
      const ties = name === 'spiece.model' ? ['????????????????', '________________', 'lllllllllll'] : []
      expect(wrong.map(([text]) => text)).toEqual(ties)
    }
  })

  it("loads T5's, which is in the package", async () => {
    const vocabulary = await loadT5Vocabulary()
    // SeqIO's rules differ where a sentinel follows a letter.
    expect(vocabulary.encode('x<extra_id_0>')).toContain(32_099)
    expect((await loadT5Vocabulary({ reference: 'seqio' })).encode('x<extra_id_0>')).not.toContain(32_099)
    expect(vocabulary.size).toBe(32_100)
    expect(vocabulary.encode('Hello, world! <extra_id_0>')).toEqual([8774, 6, 296, 55, 32_099])
  })

  it('refuses files that are not a vocabulary, and names the reason', async () => {
    const huge = write('huge.model', '')
    truncateSync(huge, 2 ** 24 + 1)
    const wrong: [string, RegExp][] = [
      [join(folder, 'nowhere'), /nowhere: there is no such file or folder/],
      [folderOf('empty', {}), /empty: the folder holds no vocabulary/],
      [
        folderOf('bert', { 'tokenizer_config.json': '{"tokenizer_class": "BertTokenizer"}' }),
        /tokenizer_config.json: .*ByT5Tokenizer/,
      ],
      [write('cut.model', readFileSync(small).subarray(0, 3000)), /cut.model: .*broken one/],
      [write('cut.json', tokenizerJson.slice(0, -9)), /cut.json: not JSON, or cut off/],
      [write('latin1.json', Uint8Array.of(0x22, 0xe9, 0x22)), /latin1.json: not JSON/],
      [write('deep.json', '['.repeat(1e6)), /deep.json: not/],
      [write('text.model', 'pieces'), /text.model: not a SentencePiece model/],
      [huge, /huge.model: 1\S+ \w+ is too large/],
      ['/dev/null', /not a regular file/],
    ]
    for (const [path, message] of wrong) {
      await expect(loadVocabulary(path), path).rejects.toThrow(FileError)
      await expect(loadVocabulary(path), path).rejects.toThrow(message)
    }
  })

  it('gives a vocabulary or a FileError for any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('x.model', 'tokenizer.json', 'tokenizer_config.json'),
        fc.uint8Array({ maxLength: 40 }),
        async (name, bytes) => {
          await expect(loadVocabulary(write(name, bytes))).rejects.toThrow(FileError)
        },
      ),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
    )
  })
})

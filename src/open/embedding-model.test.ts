import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCheckpoint, sourceOf } from '../checkpoint/format.js'
import { safetensors } from '../checkpoint/safetensors.js'
import { newWeights } from '../checkpoint/weights.js'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { convertWeights } from '../cli/convert/conversion.js'
import { preset } from '../model/presets.js'
import { openEmbedder } from './embedding-model.js'
import { openTextModel } from './text-model.js'
import { smallSizes } from '../../test/small-model.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/embed/${name}`, import.meta.url))

describe('a model for vectors of texts', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'switchyard-embed-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  /** A copy of a fixture, with changes to its JSON files. */
  async function changed(
    name: string,
    changes: Readonly<Record<string, (json: never) => unknown>>,
    from = 'sentence-t5',
  ): Promise<string> {
    const folder = join(scratch, name)
    await cp(fixture(from), folder, { recursive: true })
    for (const [file, change] of Object.entries(changes)) {
      const json: unknown = JSON.parse(await readFile(join(folder, file), 'utf8'))
      await writeFile(join(folder, file), JSON.stringify(change(json as never)))
    }
    return folder
  }

  it('gives the same vectors from all formats, whatever the batch and its padding', async () => {
    const { model, router } = preset('switch-base-8')
    const folder = join(scratch, 'switch-tiny')
    await writeHfWeights(
      folder,
      newWeights('tiny', { ...model, ...smallSizes, numExperts: 4, dtype: 'float32' }, router, 0),
    )
    const texts = ['A dog', 'The quick brown fox jumps over the lazy dog, and the cat sleeps.', '', 'cats']
    const embedder = await openEmbedder(folder)
    const expected = await embedder.embed(texts)
    expect(expected.map(vector => vector.length)).toEqual([16, 16, 16, 16])
    await convertWeights(folder, join(scratch, 't5-native'), { to: 'native' })
    await convertWeights(folder, join(scratch, 't5-x/checkpoint_0'), { to: 't5x' })
    for (const name of ['t5-native', 't5-x/checkpoint_0'])
      expect(await (await openEmbedder(join(scratch, name))).embed(texts), name).toEqual(expected)
    const paged = await openEmbedder(folder, { expertsMemory: 2 * 2 * 16 * 24 * 4 })
    for (const [i, vector] of (await paged.embed(texts)).entries())
      vector.forEach((x, j) => expect(x).toBeCloseTo(expected[i][j], 5))
    expect(paged.model.experts!.statistics().stacks[0].misses).toBeGreaterThan(0)
    await paged.close()
    await expect(paged.embed(texts)).rejects.toThrow('the model has been closed')
    await expect(paged.embed(texts, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped')
    for (const [i, text] of texts.entries()) {
      const [alone] = await embedder.embed([text])
      alone.forEach((x, j) => expect(x).toBeCloseTo(expected[i][j], 5))
    }
    expect(await embedder.embed([])).toEqual([])
  })

  it.each([NaN, Infinity])('names a text whose vector is %d', async value => {
    const folder = await changed(`damaged-${value}`, {})
    const file = join(folder, 'model.safetensors')
    const tensors = new Map(await readCheckpoint(safetensors, file))
    const clean = await openEmbedder(folder)
    const [id] = clean.model.codec.inputs.encode('dog').slice(-1)
    const table = tensors.get('shared.weight')!
    ;(table.data as Float32Array)[id * table.shape[1]] = value
    await rm(file)
    await safetensors.write(file, sourceOf([...tensors]))
    const damaged = await openEmbedder(folder)
    await expect(damaged.embed(['a cat', 'a dog'])).rejects.toThrow('the vector of the text "a dog" has numbers that')
    expect(await damaged.embed(['a cat'])).toEqual(await clean.embed(['a cat']))
  })

  it('reads the Transformer from a folder of its own, as old versions save it', async () => {
    const folder = await changed('subfolder', {
      'modules.json': ([transformer, ...others]: { path: string }[]) => [
        { ...transformer, path: '0_Transformer' },
        ...others,
      ],
    })
    await mkdir(join(folder, '0_Transformer'))
    for (const name of [
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
      'sentence_bert_config.json',
    ])
      await rename(join(folder, name), join(folder, '0_Transformer', name))
    const texts = ['A cat', 'DOGS']
    expect(await (await openEmbedder(folder)).embed(texts)).toEqual(
      await (await openEmbedder(fixture('sentence-t5'))).embed(texts),
    )
    // infer, convert and inspect find the model there, too.
    await expect(openTextModel(folder)).rejects.toThrow(/is an encoder alone .* printed by switchyard embed$/)
  })

  it('cuts long texts, and says so once', async () => {
    const notices: string[] = []
    const onNotice = (message: string): number => notices.push(message)
    const embedder = await openEmbedder(fixture('encoder-decoder'), { maxLength: 4, onNotice })
    const [a, b] = await embedder.embed(['a cat sat on the mat', 'a cat sat on the warm mat'])
    expect(a).toEqual(b)
    expect(notices).toEqual(['a text has 14 tokens, and the model reads 4: it is cut, as all longer texts are'])
  })

  it.each([
    [
      'another module',
      { 'modules.json': (m: object[]) => [...m, { path: '4_CNN', type: 'sentence_transformers.models.CNN' }] },
      'modules.json: the module "sentence_transformers.models.CNN" cannot be computed here, only Transformer, Pooling, Dense',
    ],
    [
      'code of its own',
      { 'modules.json': (m: { type: string }[]) => m.map(x => ({ ...x, type: 'modeling_own.Pooling' })) },
      'the module "modeling_own.Pooling" cannot be computed here',
    ],
    [
      'a module outside of the folder',
      { 'modules.json': (m: { path: string }[]) => m.map((x, i) => (i === 2 ? { ...x, path: '2_Dense/../..' } : x)) },
      'is said to be in "2_Dense/../..", which is no folder within the model\'s',
    ],
    [
      'no pooling',
      { 'modules.json': (m: object[]) => m.filter((_, i) => i !== 1) },
      'the modules are Transformer, Dense, Normalize: a Transformer and a Pooling were expected',
    ],
    [
      'a pooling of other vectors',
      { '1_Pooling/config.json': (c: object) => ({ ...c, word_embedding_dimension: 768 }) },
      "it pools vectors of 768 numbers, and the model's have 16",
    ],
    [
      'a dense layer of other vectors',
      { '2_Dense/config.json': (c: object) => ({ ...c, in_features: 17 }) },
      'in_features is 17, and the vectors that come in have 16 numbers',
    ],
    [
      'a dense layer that lacks its bias',
      { '2_Dense/config.json': (c: object) => ({ ...c, bias: true }) },
      'the tensors are linear.weight [12, 16], and config.json beside it describes linear.weight [12, 16], linear.bias [12]',
    ],
    [
      'an activation function of its own',
      { '2_Dense/config.json': (c: object) => ({ ...c, activation_function: 'my.Tanh' }) },
      'the activation_function "my.Tanh" is not known here, only Identity, Tanh',
    ],
    [
      'dense layers for tokens',
      { '2_Dense/config.json': (c: object) => ({ ...c, module_input_name: 'token_embeddings' }) },
      '2_Dense/config.json: module_input_name: ',
    ],
    [
      'an unknown pooling',
      { '1_Pooling/config.json': (c: object) => ({ ...c, pooling_mode: 'median' }) },
      '1_Pooling/config.json: pooling_mode: ',
    ],
    [
      'a model of another kind',
      { 'config_sentence_transformers.json': (c: object) => ({ ...c, model_type: 'SparseEncoder' }) },
      'this is a "SparseEncoder", and only "SentenceTransformer" has one vector for a text',
    ],
    [
      'a default prompt that is missing',
      { 'config_sentence_transformers.json': (c: object) => ({ ...c, default_prompt_name: 'q' }) },
      'the default prompt "q" is not among the prompts (none)',
    ],
  ] as [string, Record<string, (json: never) => unknown>, string][])(
    'with %s is refused',
    async (name, changes, message) => {
      await expect(changed(name, changes).then(folder => openEmbedder(folder))).rejects.toThrow(message)
    },
  )

  it('has all prompts of its folder, and no others', async () => {
    const embedder = await openEmbedder(fixture('all-poolings'))
    const [asked, named, none] = await Promise.all(
      [{}, { prompt: 'query' }, { prompt: null }].map(options => embedder.embed(['a cat'], options)),
    )
    expect(asked).toEqual(named)
    expect(none).not.toEqual(asked)
    await expect(embedder.embed(['a cat'], { prompt: 'passage' })).rejects.toThrow(
      'the model has no prompt "passage": it has "document", "query"',
    )
  })
})

import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { castHost, hostFrom } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { readCheckpoint, sourceOf } from '../format.js'
import { huggingface } from '../sharded.js'
import { readWeights, requireTextHead } from '../weights.js'
import type { Weights } from '../weights.js'
import { openHfWeights } from './hf-folder.js'

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../test/fixtures/cases/${name}`, import.meta.url))

const plain = '33-metadata-null'
let scratch: string
let tensors: Map<string, HostTensor>
let count = 0

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-files-'))
  tensors = await readCheckpoint(huggingface, fixture(plain))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

/** A folder with these tensors, and the config.json of a fixture with some settings changed. */
async function folderOf(
  entries: Iterable<readonly [string, HostTensor]>,
  settings: object = {},
  maxShardBytes?: number,
): Promise<string> {
  const folder = join(scratch, String(count++))
  const config = JSON.parse(await readFile(join(fixture(plain), 'config.json'), 'utf8')) as object
  const files = { 'config.json': JSON.stringify({ ...config, ...settings }) }
  await huggingface.write(folder, sourceOf(entries), { files, maxShardBytes })
  return folder
}

const renamed = (rename: (name: string) => string): [string, HostTensor][] =>
  [...tensors].map(([name, tensor]) => [rename(name), tensor])

/** Reads all weights, and closes them. */
async function valuesOf(folder: string): Promise<{ weights: Weights; values: Map<string, HostTensor> }> {
  const weights = await openHfWeights(folder)
  const values = new Map<string, HostTensor>()
  for await (const [path, tensor] of readWeights(weights, 'float32')) values.set(path, tensor)
  await weights.close()
  return { weights, values }
}

const filled = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 1),
  )

describe('prefixes of the names of tensors', () => {
  it.each([
    ['one word', (name: string) => `model.${name}`],
    ['several words', (name: string) => `_orig_mod.module.seq2seq.encoder.${name}`],
    [
      'of torch.compile and FSDP, within names',
      (name: string) => `_orig_mod.${name.replace(/\.(\d+)\./, '.$1._fsdp_wrapped_module.')}`,
    ],
    ['of the body alone', (name: string) => (name.startsWith('shared') ? name : `transformer.${name}`)],
  ])('%s: left out', async (_, rename) => {
    expect((await valuesOf(await folderOf(renamed(rename)))).values).toEqual((await valuesOf(fixture(plain))).values)
  })

  it('of two models are an error that names both', async () => {
    const folder = await folderOf([...renamed(name => `student.${name}`), ...renamed(name => `teacher.${name}`)])
    await expect(openHfWeights(folder)).rejects.toThrow(
      'the tensors of two models are here, with names that begin with "student.", "teacher."',
    )
  })

  it('are left out of a state_dict within a file of Lightning', async () => {
    const { weights, values } = await valuesOf(fixture('28-prefixed-model'))
    expect(values.size).toBe(tensors.size)
    expect(weights.notices).toEqual([
      'the tensors are read from "state_dict"; these entries beside it are not read: "epoch", "pytorch-lightning_version"',
    ])
  })
})

describe('what a file holds beside the model', () => {
  it('is named, and not read: a value head, and a table of positions of cross attention', async () => {
    const table = 'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight'
    const folder = await folderOf([...tensors, ['v_head.summary.weight', filled([1, 16])], [table, filled([8, 2])]])
    const { weights, values } = await valuesOf(folder)
    expect(values).toEqual((await valuesOf(fixture(plain))).values)
    expect(weights.notices).toEqual([
      'these tensors are no part of the model and are not read: "v_head.summary.weight"',
      expect.stringContaining(`"${table}" is not read`),
    ])
    requireTextHead(weights)
  })

  it.each([
    ['classification_head.out_proj.weight', 'sequence classification (ForSequenceClassification)'],
    ['classifier.weight', 'token classification (ForTokenClassification)'],
    ['qa_outputs.weight', 'question answering by spans (ForQuestionAnswering)'],
  ])('%s is a head that gives no text', async (name, head) => {
    const { weights } = await valuesOf(await folderOf([...tensors, [name, filled([2, 16])]]))
    expect(weights.notices).toEqual([`the head for ${head} is not read: "${name}"`])
    expect(() => requireTextHead(weights)).toThrow(
      `this model's head is for ${head} and gives no text: switchyard embed gives the vectors of its encoder, and switchyard finetune`,
    )
  })

  it('is an error within the encoder or the decoder, and names adapters and quantized weights', async () => {
    const q = 'encoder.block.0.layer.0.SelfAttention.q'
    await expect(openHfWeights(await folderOf([...tensors, [`${q}.bias`, filled([8])]]))).rejects.toThrow(
      `unexpected: 1 ("${q}.bias")`,
    )
    await expect(
      openHfWeights(await folderOf([...tensors, [`${q}.lora_A.default.weight`, filled([2, 16])]])),
    ).rejects.toThrow(`adapters of PEFT are among the model's own tensors ("${q}.lora_A.default.weight")`)
    const int8 = castHost(tensors.get(`${q}.weight`)!, 'int8')
    await expect(openHfWeights(await folderOf(new Map(tensors).set(`${q}.weight`, int8)))).rejects.toThrow(
      `${q}.weight is int8 instead of floating point`,
    )
    await expect(
      openHfWeights(await folderOf(tensors, { quantization_config: { quant_method: 'bitsandbytes' } })),
    ).rejects.toThrow('these weights are quantized (config.json has a quantization_config of "bitsandbytes")')
  })
})

describe('sizes in config.json', () => {
  const without = (part: string): [string, HostTensor][] => [...tensors].filter(([name]) => !name.includes(part))

  it('name the layers that a file has lost, and a lost decoder', async () => {
    await expect(openHfWeights(await folderOf(without('encoder.block.1.')))).rejects.toThrow(
      'num_layers in config.json is 2, and the file has no encoder.block.1: copy or download it again',
    )
    await expect(openHfWeights(await folderOf(without('decoder.block.0.')))).rejects.toThrow(
      'num_decoder_layers in config.json is 2, and the file has no decoder.block.0:',
    )
    await expect(openHfWeights(await folderOf(tensors, { num_layers: 1_000_000_000 }))).rejects.toThrow(
      'the file has no encoder.block.2 to encoder.block.999999999:',
    )
    const lost = without('decoder.')
    await expect(openHfWeights(await folderOf(lost))).rejects.toThrow('a model with a decoder (architectures)')
    const settings = { architectures: undefined, is_encoder_decoder: true }
    await expect(openHfWeights(await folderOf(lost, settings))).rejects.toThrow('with a decoder (is_encoder_decoder)')
    const { weights } = await valuesOf(await folderOf(lost, { architectures: ['T5EncoderModel'] }))
    expect(weights.model.numDecoderLayers).toBe(0)
  })

  it('leave out the layers beyond them, with a notice', async () => {
    const { weights, values } = await valuesOf(await folderOf(tensors, { num_layers: 1, num_decoder_layers: 1 }))
    expect(weights.model).toMatchObject({ numEncoderLayers: 1, numDecoderLayers: 1 })
    expect(weights.notices).toEqual([
      'encoder.block.1 of the file is not read: num_layers in config.json is 1, and transformers leaves it out too',
      'decoder.block.1 of the file is not read: num_decoder_layers in config.json is 1, and transformers leaves it out too',
    ])
    for (const path of values.keys()) expect(path).not.toContain('layers_1')
  })

  it.each([
    [{ d_kv: 8 }, 'd_kv in config.json is 8, and the tensors say 4'],
    [{ num_attention_heads: 4 }, 'num_attention_heads in config.json is 4, and the tensors say 2'],
    [{ d_ff: 32 }, 'd_ff in config.json is 32, and the tensors say 24'],
    [{ d_model: 8 }, 'd_model in config.json is 8, and the tensors say 16'],
    [{ vocab_size: 128 }, 'vocab_size in config.json is 128, and the tensors say 136'],
    [{ relative_attention_num_buckets: 32 }, 'is 32, and the tensors say 8'],
    [
      { is_gated_act: true },
      'is_gated_act in config.json is true, and the feed-forward layers of the file are not gated',
    ],
    [{ num_layers: null }, 'num_layers in config.json must be a whole number, not "null"'],
  ])('are an error where they contradict the tensors: %o', async (settings, message) => {
    await expect(openHfWeights(await folderOf(tensors, settings))).rejects.toThrow(message)
  })
})

it.each(['float16', 'bfloat16'] as const)('%s weights are stored as such and read in float32', async dtype => {
  const half = [...tensors].map(([name, tensor]) => [name, castHost(tensor, dtype)] as const)
  const { weights, values } = await valuesOf(await folderOf(half))
  expect(new Set(weights.specs.map(spec => spec.dtype))).toEqual(new Set([dtype]))
  for (const [path, tensor] of (await valuesOf(fixture(plain))).values)
    expect(values.get(path)).toEqual(castHost(castHost(tensor, dtype), 'float32'))
})

describe('an index', () => {
  const indexed = async (change: (map: Record<string, string>) => void): Promise<string> => {
    const folder = await folderOf(tensors, {}, 20_000)
    const path = join(folder, 'model.safetensors.index.json')
    const index = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, string> }
    change(index.weight_map)
    await writeFile(path, JSON.stringify(index))
    return folder
  }

  it('may list copies of the embedding that no shard holds', async () => {
    const folder = await indexed(map => {
      for (const name of ['encoder.embed_tokens', 'decoder.embed_tokens', 'lm_head'])
        map[`${name}.weight`] = map['shared.weight']
    })
    expect((await valuesOf(folder)).values).toEqual((await valuesOf(fixture(plain))).values)
  })

  it('may not list any other tensor that no shard holds', async () => {
    const name = 'encoder.block.0.layer.0.SelfAttention.z.weight'
    const folder = await indexed(map => (map[name] = map['shared.weight']))
    await expect(openHfWeights(folder)).rejects.toThrow(
      `1 tensors are not in the shard that the index names ("${name}"`,
    )
  })
})

it.each([
  ['longt5', 'LongT5, whose encoder attends locally'],
  ['nllb-moe', 'NLLB-MoE, a Transformer with sinusoidal positions'],
  ['t5gemma', "T5Gemma, an encoder-decoder of Gemma's layers"],
  ['t5gemma2', "T5Gemma 2, an encoder-decoder of Gemma's layers"],
  ['pix2struct', 'Pix2Struct, whose inputs are images'],
  ['mbart', 'mBART, a Transformer with learned positions'],
  ['m2m_100', 'M2M100 (NLLB), a Transformer with sinusoidal positions'],
  ['llama', 'a model of the family llama, which has a decoder and no encoder'],
  ['gpt2', 'a model of the family gpt2, which has a decoder and no encoder'],
  ['xlm-roberta', 'a model of the family xlm-roberta, which has an encoder and no decoder'],
  ['qwen2_vl', 'a model of the family qwen2_vl, and only'],
])('model_type %s is named in one sentence', async (type, named) => {
  const folder = join(scratch, type)
  await mkdir(folder)
  await writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: type }))
  await copyFile(join(fixture(plain), 'model.safetensors'), join(folder, 'model.safetensors'))
  await expect(openHfWeights(folder)).rejects.toThrow(
    new RegExp(`: this is ${named.replace(/[()]/g, '\\$&')}.*"${type}"`),
  )
})

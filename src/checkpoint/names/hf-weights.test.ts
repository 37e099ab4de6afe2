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
import type { Json } from '../json.js'
import type { HfFiles } from './hf-files.js'
import { openHfWeights } from './hf-folder.js'
import { specialIdsFromHf } from './hf-special-ids.js'

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
    [
      { relative_attention_max_distance: 4 },
      'relative_attention_max_distance is 4, and the file has 8 buckets of relative positions',
    ],
    [{ head_dim: 8 }, 'head_dim in config.json is 8, and the tensors say 4'],
  ])('are an error where they contradict the tensors: %o', async (settings, message) => {
    await expect(openHfWeights(await folderOf(tensors, settings))).rejects.toThrow(message)
  })
})

describe('settings in config.json', () => {
  const opened = async (settings: object, name = plain): Promise<Weights> => {
    const folder = join(scratch, String(count++))
    const config = JSON.parse(await readFile(join(fixture(name), 'config.json'), 'utf8')) as object
    await mkdir(folder)
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ ...config, ...settings }).replaceAll('"Infinity"', '1e999'),
    )
    await copyFile(join(fixture(name), 'model.safetensors'), join(folder, 'model.safetensors'))
    const weights = await openHfWeights(folder)
    await weights.close()
    return weights
  }
  const sparse = 'switch-irregular'

  // Each of the nulls and the texts is refused by transformers 5.23, too.
  it.each<[settings: object, message: string | RegExp, name?: string]>([
    [{ num_layers: null }, 'num_layers in config.json is null, and must be a whole number from 0'],
    [{ num_heads: '2' }, 'num_heads in config.json is "2", and must be a whole number from 1'],
    [{ hidden_size: null }, 'hidden_size in config.json is null, and must be a whole number from 1'],
    [{ d_model: true }, 'd_model in config.json is true, and must be a whole number'],
    [
      { relative_attention_max_distance: 30_000_000 },
      "is 30000000, and must be a whole number from 1 to 65536: correct it, or leave it out for transformers' default, 128",
    ],
    [
      { relative_attention_max_distance: 128.5 },
      'relative_attention_max_distance in config.json is 128.5, and must be',
    ],
    [{ relative_attention_max_distance: null }, 'relative_attention_max_distance in config.json is null'],
    [{ relative_attention_num_buckets: -1 }, 'relative_attention_num_buckets in config.json is -1, and must be'],
    [{ dropout_rate: 7 }, 'dropout_rate in config.json is 7, and must be a number from 0 to below 1'],
    [{ layer_norm_epsilon: null }, 'layer_norm_epsilon in config.json is null, and must be a finite number'],
    [{ layer_norm_epsilon: 'Infinity' }, 'layer_norm_epsilon in config.json is Infinity'],
    [{ feed_forward_proj: null }, 'feed_forward_proj in config.json is null, and must be a text'],
    [{ dense_act_fn: null }, 'dense_act_fn in config.json is null, and must be a text'],
    [{ is_encoder_decoder: null }, 'is_encoder_decoder in config.json is null, and must be true or false'],
    [{ expert_capacity: null }, 'expert_capacity in config.json is null, and must be a whole number', sparse],
    [{ expert_capacity: 0.5 }, 'expert_capacity in config.json is 0.5', sparse],
    [{ num_sparse_encoder_layers: -1 }, 'num_sparse_encoder_layers in config.json is -1', sparse],
    [{ decoder_sparse_step: null }, 'decoder_sparse_step in config.json is null', sparse],
    [{ router_jitter_noise: 2 }, 'router_jitter_noise in config.json is 2', sparse],
    [{ router_z_loss_coef: '1' }, 'router_z_loss_coef in config.json is "1"', sparse],
    [{ router_dtype: null }, 'is null, and must be "float32", "float16", "bfloat16"', sparse],
    [{ tie_word_embeddings: null }, 'tie_word_embeddings in config.json is null, and must be true or false', sparse],
    [{ model_type: 't5' }, 'model_type in config.json is "t5", and the tensors are', sparse],
  ])('are refused out of their ranges: %o', async (settings, message, name) => {
    await expect(opened(settings, name)).rejects.toThrow(message)
  })

  it('are shortened in messages', async () => {
    const settings = { layer_norm_epsilon: Array.from({ length: 5000 }, () => 1) }
    await expect(opened(settings)).rejects.toThrow(/ is \[1(,1){49}\.\.\.\(10001 characters\), and must be/)
    await expect(opened({ model_type: `llama${'x'.repeat(1000)}` })).rejects.toThrow(
      /: this is a model of an unknown family, .*"llamax{95}\.\.\.\(1005 characters\)"/,
    )
  })

  it('may be what transformers takes', async () => {
    const settings = { num_decoder_layers: null, architectures: null, scale_decoder_outputs: [], layer_norm_epsilon: 0 }
    const { model } = await opened({ ...settings, dropout_rate: 0, relative_attention_max_distance: 65536 })
    expect(model).toMatchObject({ scaleLogits: false, layerNormEpsilon: 0, dropoutRate: 0 })
    // A setting that the family does not have.
    const { notices } = await opened({ head_dim: 7, feed_forward_proj: null }, sparse)
    expect(notices).toEqual([])
  })

  it.each(['float16', 'bfloat16'])('say that a router of %s is computed in float32', async dtype => {
    const { notices } = await opened({ router_dtype: dtype }, sparse)
    expect(notices).toEqual([
      `the router is computed in float32, and transformers computes it in "${dtype}" (router_dtype in config.json): tokens with almost equal probabilities may go to other experts there`,
    ])
  })
})

describe('special ids out of the vocabulary', () => {
  const idsOf = (files: HfFiles): unknown => specialIdsFromHf(files, 100, 'model')
  const token = (content: string): object => ({ content, special: true })

  it('are named with their file, and the id of a list', () => {
    const eos = Array.from({ length: 5000 }, (_, i) => i % 100)
    eos[3] = 100
    expect(() => idsOf({ config: { eos_token_id: eos } })).toThrow(
      "model: eos_token_id in config.json, number 4 of the list, is 100, and the ids of this model's tokens are whole numbers below 100: correct it",
    )
    const text = 'x'.repeat(1000)
    expect(() => idsOf({ config: {}, generationConfig: { pad_token_id: text } })).toThrow(
      /^model: pad_token_id in generation_config\.json is "x{100}\.\.\.\(1000 characters\)", and/,
    )
    expect(() => idsOf({ config: {}, generationConfig: { bos_token_id: [1, 2] } })).toThrow(
      'bos_token_id in generation_config.json is a list of 2 ids, and must be one',
    )
  })

  it('are named with the token that a tokenizer gives', () => {
    const tokenizer = { added_tokens: [{ id: 200, content: '<pad>' }, { content: '</s>' }, {}, null] } as Json
    const tokenizerConfig = { added_tokens_decoder: { 300: token('<end>') }, eos_token: token('<end>') } as Json
    expect(() => idsOf({ config: {}, tokenizer, tokenizerConfig: {} })).toThrow(
      'the id of "<pad>" in tokenizer.json is 200, and',
    )
    expect(() => idsOf({ config: { pad_token_id: 3 }, tokenizer, tokenizerConfig })).toThrow(
      'the id of "<end>" in tokenizer_config.json is 300, and',
    )
    expect(idsOf({ config: { pad_token_id: 3 }, tokenizer })).toEqual({ padId: 3, eosIds: [1], decoderStartId: 3 })
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

import { describe, expect, it } from 'vitest'
import { hostFrom, sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { declareParameters } from '../../model/parameters.js'
import { preset } from '../../model/presets.js'
import type { CheckpointReader, TensorInfo } from '../format.js'
import { configFromHf, configToHf } from './hf-config.js'
import { hfEntry, readEntry, toHf } from './hf.js'
import type { HfFamily } from './hf.js'
import type { ModelConfig } from '../../model/config.js'
import { writtenNotices } from './hf-embeddings.js'

const { model, router } = preset('switch-base-8')
const config = {
  ...model,
  vocabSize: 6,
  dModel: 4,
  dFf: 5,
  numHeads: 2,
  headDim: 3,
  numEncoderLayers: 4,
  numDecoderLayers: 2,
  encoderSparseLayers: [1, 3],
  decoderSparseLayers: [1],
  numExperts: 3,
}
const specs = declareParameters(config, router)
const fill = (shape: readonly number[], seed: number): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => seed + i / 64),
  )

const exported = (of = specs, family: HfFamily = 'switch'): Map<string, HostTensor> =>
  new Map(of.flatMap((spec, i) => toHf(spec, fill(spec.shape, i), family)))
const infoOf = (tensors: ReadonlyMap<string, HostTensor>): TensorInfo[] =>
  [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
const readerOf = (tensors: ReadonlyMap<string, HostTensor>): CheckpointReader => ({
  path: 'model.safetensors',
  metadata: new Map(),
  list: () => infoOf(tensors),
  read: async name => tensors.get(name)!,
  close: async () => undefined,
})

describe('HF names', () => {
  it('are those of the published files', () => {
    const names = [...exported().keys()]
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('encoder.block.3.layer.1.mlp.experts.expert_2.wi.weight')
    expect(names).toContain('decoder.block.1.layer.2.mlp.router.classifier.weight')
    expect(names).toContain('decoder.block.0.layer.1.EncDecAttention.o.weight')
    expect(names).toContain('encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight')
    expect([
      ...exported(
        declareParameters({ ...config, numExperts: 0, encoderSparseLayers: [], decoderSparseLayers: [] }, router),
        't5',
      ).keys(),
    ]).toContain('decoder.block.0.layer.2.DenseReluDense.wo.weight')
  })

  it('there and back give the same parameters', async () => {
    const reader = readerOf(exported())
    for (const [i, spec] of specs.entries())
      expect(await readEntry(reader, hfEntry(spec, 'switch'))).toEqual(fill(spec.shape, i))
  })
})

describe('HF configurations', () => {
  const hub = {
    model_type: 'switch_transformers',
    num_sparse_encoder_layers: 6,
    encoder_sparse_step: 2,
    expert_capacity: 64,
    num_layers: 4,
    num_decoder_layers: 2,
    d_ff: 5,
    d_kv: 3,
  }

  it('are read from the tensors where those speak', () => {
    const read = configFromHf(hub, infoOf(exported()), 'google/switch-base-8')
    expect(read.model).toEqual({ ...config, dropoutRate: 0.1, dtype: 'float32', reference: 'hf' })
    expect(read.router).toMatchObject({ expertCapacity: 64, bias: false, jitterNoise: 0.01, auxLossFactor: 0.001 })
  })

  it('of T5 1.1 have a projection of their own, unscaled', () => {
    const gated = {
      ...config,
      activation: 'geluTanh',
      gatedActivation: true,
      tiedLogits: false,
      scaleLogits: false,
      numExperts: 0,
      encoderSparseLayers: [],
      decoderSparseLayers: [],
    } as const
    const tensors = infoOf(exported(declareParameters(gated, router), 't5'))
    const json = { model_type: 't5', tie_word_embeddings: false, feed_forward_proj: 'gated-gelu' }
    expect(configFromHf(json, tensors, 't5').model).toMatchObject({
      tiedLogits: false,
      scaleLogits: false,
      activation: 'geluTanh',
      gatedActivation: true,
      numExperts: 0,
    })
  })

  it('scale the logits of T5 as transformers does, for any value of scale_decoder_outputs', () => {
    const dense = { ...config, numExperts: 0, encoderSparseLayers: [], decoderSparseLayers: [] }
    const tensors = infoOf(exported(declareParameters(dense, router), 't5'))
    const scales = (settings: object): boolean =>
      configFromHf({ model_type: 't5', ...settings }, tensors, 't5').model.scaleLogits
    expect(scales({})).toBe(true)
    expect(scales({ tie_word_embeddings: null })).toBe(true)
    expect(scales({ scale_decoder_outputs: null })).toBe(false)
    expect(scales({ scale_decoder_outputs: 0 })).toBe(false)
    expect(scales({ scale_decoder_outputs: 'yes', tie_word_embeddings: false })).toBe(true)
  })

  it('say what transformers cannot hold', () => {
    expect(() => configToHf({ ...config, relativePositionBias: 'perLayer' }, router)).toThrow(
      'in transformers the layers of a Switch Transformer share them',
    )
  })

  it('say what is not supported', () => {
    const tensors = infoOf(exported())
    expect(() => configFromHf({ ...hub, model_type: 'bart' }, tensors, 'x')).toThrow(
      'only T5\'s families can be read: model_type in config.json is "bart", not t5, mt5, umt5 or switch_transformers',
    )
    expect(() => configFromHf({}, tensors, 'x')).toThrow('x: config.json has no model_type')
    expect(() => configFromHf({ ...hub, dense_act_fn: 'tanh' }, tensors, 'x')).toThrow(
      'the activation "tanh" in config.json is not supported',
    )
    expect(() => configFromHf({ ...hub, expert_capacity: 'many' }, tensors, 'x')).toThrow(
      'x: expert_capacity in config.json is "many", and must be a whole number from 1',
    )
    expect(() => configFromHf(hub, [], 'x')).toThrow('there is no tensor "shared.weight"')
  })

  it('have sparse layers by the step of transformers: 1 and 4 of 6 with step 3', () => {
    const irregular = { ...config, numEncoderLayers: 6, encoderSparseLayers: [1, 4] }
    const read = configFromHf(hub, infoOf(exported(declareParameters(irregular, router))), 'x').model
    expect(read).toMatchObject({ encoderSparseLayers: [1, 4], decoderSparseLayers: [1] })
    expect(configToHf(read, router)).toMatchObject({
      num_sparse_encoder_layers: 2,
      encoder_sparse_step: 3,
      num_sparse_decoder_layers: 1,
      decoder_sparse_step: 2,
    })
    expect(() => configToHf({ ...irregular, encoderSparseLayers: [0, 3] }, router)).toThrow(
      "the encoder's sparse layers are 0, 3 of 6: transformers knows all, none, and those numbered 1, 1 + n",
    )
  })
})

describe('what a user of a written folder is told', () => {
  const dense = { ...model, numExperts: 0, encoderSparseLayers: [], decoderSparseLayers: [], dModel: 512 }
  const own = { ...dense, tiedLogits: false, scaleLogits: true }
  it.each<[string, ModelConfig, 'float32' | 'bfloat16', RegExp[]]>([
    ['nothing, where a tied head needs no tensor', dense, 'bfloat16', []],
    ['nothing, where a scaled head is in float32', own, 'float32', []],
    [
      'that a scaled head is rounded once more',
      own,
      'bfloat16',
      [/^the scale of the logits is part of lm_head\.weight/],
    ],
    ['nothing, where the scale is a power of two', { ...own, dModel: 1024 }, 'bfloat16', []],
    [
      'that transformers 4 has one embedding',
      { ...dense, sharedEmbedding: false },
      'float32',
      [/different embeddings/],
    ],
  ])('%s', (_, config, dtype, expected) => {
    const notices = writtenNotices(config, dtype)
    expect(notices.length).toBe(expected.length)
    expected.forEach((pattern, i) => expect(notices[i]).toMatch(pattern))
  })
})

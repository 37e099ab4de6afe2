import { ConfigError, FileError } from '../../base/errors.js'
import { specialIdsOf, stackLayers } from '../../model/config.js'
import type { ModelConfig, RouterConfig, StackName } from '../../model/config.js'
import { baseRouter } from '../../model/presets.js'
import type { TensorInfo } from '../format.js'
import { listItems, quote } from '../format.js'
import type { Json } from '../json.js'
import { activationFromHf, activationToHf } from './hf-activation.js'
import { embeddingsOf, headName, sharedName, writtenEmbeddings } from './hf-embeddings.js'
import { float } from './hf-json.js'
import type { HfValue } from './hf-json.js'
import { checkedConfig, isTrue, numberOf } from './hf-settings.js'
import type { Config } from './hf-settings.js'
import { checkSizes } from './hf-sizes.js'
import { hfFamily } from './hf.js'
import { specialIdsToHf } from './hf-special-ids.js'

/**
 * Our configuration for an HF checkpoint, from its config.json and its tensors. The sizes are the tensors', and must
 * not contradict config.json. Which layers are sparse is read from the tensors alone: published configurations name
 * those settings differently, and HF derives them from several. `firstEqual` says which embeddings and heads are equal:
 * see `embeddingsOf`. `reference` is `hf`, which computes exactly as transformers does; set it to `switchyard` for our
 * own defaults.
 */
export function configFromHf(
  json: Json,
  tensors: readonly TensorInfo[],
  path: string,
  firstEqual?: ReadonlyMap<string, string>,
): { model: ModelConfig; router: RouterConfig } {
  const config = checkedConfig(json, path)
  const type = config.model_type
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  const shapeOf = (name: string): readonly number[] => {
    const shape = shapes.get(name)
    if (!shape)
      throw new FileError(
        `${path}: there is no tensor ${quote(name)}, which every T5 and Switch Transformers checkpoint has`,
      )
    return shape
  }
  const embeddings = embeddingsOf(shapes, firstEqual)
  const [vocabSize, dModel] = shapeOf(embeddings?.encoder ?? sharedName)
  const [relativePositionBuckets, numHeads] = shapeOf(
    'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
  )
  const [innerDim] = shapeOf('encoder.block.0.layer.0.SelfAttention.q.weight')
  const encoder = stackOf('encoder', shapes)
  const decoder = stackOf('decoder', shapes)
  const input = [...shapes].find(([name]) => /\.wi(_0)?\.weight$/.test(name))
  if (!input) throw new FileError(`${path}: there is no feed-forward tensor (wi.weight or wi_0.weight)`)
  const gated = input[0].endsWith('.wi_0.weight')
  const headDim = innerDim / numHeads
  if (!(Number.isInteger(headDim) && headDim > 0))
    throw new FileError(
      `${path}: the ${numHeads} heads of attention cannot share the ${innerDim} rows of q.weight equally`,
    )
  const router = [...shapes].find(([name]) => name.endsWith('.router.classifier.weight'))

  // Limits memory for malicious files: each expert is several declared tensors.
  if (router && (router[1].length !== 2 || router[1][1] !== dModel || router[1][0] > tensors.length)) {
    throw new FileError(
      `${path}: ${quote(router[0])} is [${router[1]}], which is no router of this file's experts: [experts, ${dModel}]`,
    )
  }

  const lacksHead = decoder.layers > 0 && !shapes.has(headName)
  if (type === 'switch_transformers' && config.tie_word_embeddings === false && lacksHead)
    throw new FileError(
      `${path}: config.json says tie_word_embeddings false, but there is no ${headName}: transformers would make a random head`,
    )
  const read: { model: ModelConfig; router: RouterConfig } = {
    model: {
      vocabSize,
      dModel,
      numHeads,
      relativePositionBuckets,
      dFf: input[1][0],
      headDim,
      numEncoderLayers: encoder.layers,
      numDecoderLayers: decoder.layers,
      encoderSparseLayers: encoder.sparse,
      decoderSparseLayers: decoder.sparse,
      numExperts: router ? router[1][0] : 0,
      activation: activationFromHf(config, path),
      gatedActivation: gated,
      sharedEmbedding: embeddings?.encoder === embeddings?.decoder,
      tiedLogits: decoder.layers === 0 || embeddings?.head === embeddings?.decoder,
      scaleLogits: scalesLogits(config),
      relativePositionBias: type === 'umt5' ? 'perLayer' : 'perStack',
      relativePositionMaxDistance: numberOf(config, 'relative_attention_max_distance'),
      layerNormEpsilon: numberOf(config, 'layer_norm_epsilon'),
      dropoutRate: numberOf(config, 'dropout_rate'),
      initScale: router ? 0.1 : 1,
      dtype: 'float32',
      reference: 'hf',
    },
    router: {
      ...baseRouter,
      expertCapacity: router ? numberOf(config, 'expert_capacity') : null,
      bias: shapes.has(router?.[0].replace(/weight$/, 'bias') ?? ''),
      jitterNoise: router ? numberOf(config, 'router_jitter_noise') : 0,
      expertDropoutRate: numberOf(config, 'dropout_rate'),
      auxLossFactor: numberOf(config, 'router_aux_loss_coef'),
      zLossFactor: numberOf(config, 'router_z_loss_coef'),
      ignorePaddingTokens: false,
    },
  }
  checkSizes(config, read.model, hfFamily(shapes.keys()), path)
  return read
}

/**
 * Whether transformers 5 scales the decoder's output by 1/sqrt(d_model) before the head. T5 1.1's published
 * configurations say `tie_word_embeddings: false`, by which T5 is not scaled. mT5 never is, UMT5 always.
 */
function scalesLogits(config: Config): boolean {
  if (config.model_type === 'mt5') return false
  if (config.model_type === 'umt5') return true
  // transformers sets any value that is there, null too, and tests whether Python takes it for true.
  if (config.model_type === 't5' && config.scale_decoder_outputs !== undefined)
    return isTrue(config.scale_decoder_outputs)
  return config.tie_word_embeddings !== false
}

/** HF's config.json for our configuration. Throws a ConfigError if transformers has no such model. */
export function configToHf(model: ModelConfig, router: RouterConfig): { readonly [key: string]: HfValue } {
  const perLayer = model.relativePositionBias === 'perLayer'
  if (perLayer && model.numExperts > 0) {
    throw new ConfigError(
      'each layer of this model has relative position biases of its own, and in transformers the layers of a Switch Transformer share them: store it as a T5X checkpoint',
    )
  }
  const written = writtenEmbeddings(model)
  const shared = {
    architectures: [
      `${model.numExperts > 0 ? 'SwitchTransformers' : perLayer ? 'UMT5' : 'T5'}${model.numDecoderLayers > 0 ? 'ForConditionalGeneration' : 'EncoderModel'}`,
    ],
    d_model: model.dModel,
    d_ff: model.dFf,
    d_kv: model.headDim,
    num_heads: model.numHeads,
    num_layers: model.numEncoderLayers,
    num_decoder_layers: model.numDecoderLayers || model.numEncoderLayers,
    vocab_size: model.vocabSize,
    relative_attention_num_buckets: model.relativePositionBuckets,
    relative_attention_max_distance: model.relativePositionMaxDistance,
    layer_norm_epsilon: float(model.layerNormEpsilon),
    dropout_rate: float(model.dropoutRate),
    initializer_factor: float(1),
    dtype: model.dtype,
    is_encoder_decoder: model.numDecoderLayers > 0,
    use_cache: model.numDecoderLayers > 0,
    ...specialIdsToHf(specialIdsOf(model)),
    tie_word_embeddings: written.tied,
  }
  if (model.numExperts === 0) {
    return {
      ...shared,
      ...activationToHf(model),
      model_type: perLayer ? 'umt5' : 't5',
      scale_decoder_outputs: written.scaled,
    }
  }
  if (model.gatedActivation) throw new ConfigError('transformers has no Switch Transformer with gated experts')
  const [encoder, decoder] = [hfSparseLayers(model, 'encoder'), hfSparseLayers(model, 'decoder')]
  return {
    ...shared,
    model_type: 'switch_transformers',
    dense_act_fn: activationToHf(model).dense_act_fn,
    add_router_probs: false,
    num_experts: model.numExperts,
    expert_capacity: router.expertCapacity ?? 64,
    encoder_sparse_step: encoder.step,
    num_sparse_encoder_layers: encoder.count,
    decoder_sparse_step: decoder.step,
    num_sparse_decoder_layers: decoder.count,
    router_bias: router.bias,
    router_dtype: 'float32',
    router_ignore_padding_tokens: false,
    router_jitter_noise: float(router.jitterNoise),
    router_aux_loss_coef: float(router.auxLossFactor),
    router_z_loss_coef: float(router.zLossFactor),
  }
}

/** The number of layers of a stack, and which are sparse. */
function stackOf(stack: string, shapes: ReadonlyMap<string, unknown>): { layers: number; sparse: number[] } {
  const blocks = new Set<number>()
  const sparse = new Set<number>()
  for (const name of shapes.keys()) {
    const match = new RegExp(`^${stack}\\.block\\.(\\d+)\\.(.*\\.router\\.classifier\\.weight$)?`).exec(name)
    if (!match) continue
    blocks.add(Number(match[1]))
    if (match[2] !== undefined) sparse.add(Number(match[1]))
  }
  return { layers: blocks.size, sparse: [...sparse].sort((a, b) => a - b) }
}

/**
 * The sparse layers of a stack in transformers' terms. Step 0 is none and step 1 is all; with a larger step, the layers
 * i with i % step === 1 are sparse. Throws a ConfigError if no step says which layers are.
 */
function hfSparseLayers(model: ModelConfig, stack: StackName): { step: number; count: number } {
  const layers = stackLayers(model, stack).map(({ sparse }) => sparse)
  const count = layers.filter(Boolean).length
  if (count === 0) return { step: 0, count }
  const steps = layers.map((_, i) => i + 1)
  const step = steps.find(n => layers.every((sparse, i) => sparse === (n === 1 || i % n === 1)))
  if (step === undefined)
    throw new ConfigError(
      `the ${stack}'s sparse layers are ${listItems(layers.flatMap((sparse, i) => (sparse ? [i] : [])))} of ${layers.length}: transformers knows all, none, and those numbered 1, 1 + n, 1 + 2n ...`,
    )
  return { step, count }
}

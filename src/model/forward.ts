import type { Tensor } from '../engine/api/tensor.js'
import { SwitchyardError } from '../base/errors.js'
import * as np from '../engine/api/np.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { keysAndValues, maskBias } from '../nn/attention.js'
import { dense } from '../nn/dense.js'
import { embed, projection } from '../nn/embedding.js'
import type { Embedding } from '../nn/embedding.js'
import { noNoise, noiseFrom } from '../nn/noise.js'
import type { Noise } from '../nn/noise.js'
import { rmsNorm } from '../nn/rms-norm.js'
import type { ModelConfig, StackName } from './config.js'
import { decoderLayer, encoderLayer, encoderProjections, laidOut, zeroPadding } from './layers.js'
import { runLayers } from './stack-layers.js'
import type { LayerFunction, OwnArrays } from './stack-layers.js'
import { specialIdsOf, stackLayers } from './config.js'
import { meaningOf } from './meaning.js'
import { newPass } from './pass.js'
import type { Pass } from './pass.js'
import { decoderMasks, encoderMasks } from './masks.js'
import type { EncoderBatch } from './masks.js'
import { routerOf } from './routing.js'
import { addMask, biasOfLayer, positionBiases, positionTables } from './position-bias.js'
import type { Batch, ForwardOptions, ForwardOutput, LayerRecord, ModelParams } from './types.js'

/**
 * Runs the encoder and the decoder on a batch with known targets. Throws a SwitchyardError if training needs a key and
 * has none, or
 * if the model has no decoder.
 */
export function forward(params: ModelParams, batch: Batch, options: ForwardOptions): ForwardOutput {
  if (options.config.numDecoderLayers === 0)
    throw new SwitchyardError('this model is an encoder alone and has no decoder: use encode, which gives its vectors')
  const noise = noiseOf(options)
  const encoded = encode(params, batch, options, noise)
  const decoded = decode(params, batch, encoded.output, options, noise)
  const { constrain = x => x } = options
  return {
    logits: constrain(outputLogits(params, decoded.output, options.config), ['batch', 'length', 'vocab']),
    encoderOutput: encoded.output,
    decoderOutput: decoded.output,
    encoderStates: encoded.states,
    decoderStates: decoded.states,
    routers: [...encoded.routers, ...decoded.routers],
  }
}

export interface StackOutput {
  output: Tensor // [batch, length, dModel]
  /**
   * The input of each layer, and last the output of the last layer, before the stack's norm: [batch, length, dModel]
   * each.
   */
  states: Tensor[]
  routers: LayerRecord[]
}

/**
 * Runs the encoder: one vector for each token. `relativeBiases` can be given if they were computed for this length
 * before.
 */
export function encode(
  params: ModelParams,
  batch: EncoderBatch,
  options: ForwardOptions,
  noise: Noise = noNoise,
  relativeBiases = positionBiases(
    positionTables(params, 'encoder', options.config),
    'encoder',
    batch.encoder_input_tokens.shape[1],
    options,
  ),
): StackOutput {
  const { encoder } = params
  const masks = encoderMasks(batch, meaningOf(options), specialIdsOf(options.config).padId)
  const biases = addMask(relativeBiases, masks.selfAttention)
  const { config } = options
  const pass = newPass('encoder', batch.encoder_input_tokens, options, noise, masks.nonPadding)
  const layers = ownArrays(config.numEncoderLayers, i => encoder[`layers_${i}`], biases)
  return runStack(params, pass, null, layers, ({ params: layer, bias }, x, _, ofPass) =>
    encoderLayer(layer, x, encoderProjections(layer, x, ofPass), bias ?? biases[0], ofPass),
  )
}

function decode(
  params: ModelParams,
  batch: Batch,
  encoderOutput: Tensor,
  options: ForwardOptions,
  noise: Noise,
): StackOutput {
  const { config } = options
  const { decoder } = params
  const masks = decoderMasks(batch, meaningOf(options), specialIdsOf(config).padId)
  const length = batch.decoder_input_tokens.shape[1]
  const selfBiases = addMask(
    positionBiases(positionTables(params, 'decoder', config), 'decoder', length, options),
    masks.selfAttention,
  )
  const crossBias = maskBias(masks.crossAttention) // [batch, 1, query, key]
  const pass = newPass('decoder', batch.decoder_input_tokens, options, noise, masks.nonPadding)
  const layers = ownArrays(config.numDecoderLayers, i => decoder[`layers_${i}`], selfBiases)
  return runStack(params, pass, encoderOutput, layers, ({ params: layer, bias }, x, encoded, ofPass) =>
    decoderLayer(
      layer,
      x,
      {
        self: y => keysAndValues(layer.self_attention, y, config.numHeads),
        cross: keysAndValues(layer.encoder_decoder_attention, encoded, config.numHeads),
        selfBias: bias ?? selfBiases[0],
        crossBias,
      },
      ofPass,
    ),
  )
}

/** What each layer of a stack has of its own. `biases`: one for all layers, or one for each. */
const ownArrays = <P>(numLayers: number, paramsOf: (layer: number) => P, biases: readonly Tensor[]): OwnArrays<P>[] =>
  Array.from({ length: numLayers }, (_, i) => ({
    params: paramsOf(i),
    bias: biases.length === 1 ? null : biasOfLayer(biases, i),
  }))

/**
 * Embeds the tokens of a pass, applies its stack's layers in order, and normalizes. The layers get `memory`, the
 * encoder's output, too.
 */
function runStack<P extends TensorTree, M extends Tensor | null>(
  params: ModelParams,
  pass: Pass,
  memory: M,
  layers: readonly OwnArrays<P>[],
  layer: LayerFunction<P, M>,
): StackOutput {
  const { stack, tokenIds: tokens } = pass
  const { config } = pass.options
  const tokensEmbedded = embed(tokenEmbedding(params, stack), tokens, config.dModel, config.dtype) // [batch, length, dModel]
  const embedded = laidOut(pass.noise.dropout(tokensEmbedded, pass.dropoutRate, 1), pass) // [batch, length, dModel]
  const outputs = runLayers(layers, embedded, memory, pass, layer)
  const states = [embedded, ...outputs.map(({ x }) => x)] // [batch, length, dModel]
  const routers = outputs.flatMap(({ record }, i) => (record ? [{ stack, layer: i, record }] : []))
  const output = pass.noise.dropout(stackNorm(params, states[layers.length], pass), pass.dropoutRate, 1) // [batch, length, dModel]
  return { output, states, routers }
}

/** The token embedding of a stack: its own, or the one that both share. */
export function tokenEmbedding(params: ModelParams, stack: StackName): Embedding {
  const embedder = params.token_embedder ?? params[stack].token_embedder
  if (embedder === undefined)
    throw new SwitchyardError(`the parameters have neither token_embedder nor ${stack}/token_embedder`)
  return embedder.embedding
}

/** A stack's final norm of x [batch, length, dModel]. */
export function stackNorm(params: ModelParams, x: Tensor, pass: Pass): Tensor {
  const norm = pass.stack === 'encoder' ? params.encoder.encoder_norm : params.decoder.decoder_norm
  const { layerNormEpsilon, dtype } = pass.options.config
  return zeroPadding(rmsNorm(norm, x, layerNormEpsilon, dtype), pass) // [batch, length, dModel]
}

/** The float32 logits of the whole vocabulary, from the decoder's output [batch, length, dModel]. */
export function outputLogits(params: ModelParams, x: Tensor, config: ModelConfig): Tensor {
  const wide = np.astype(x, 'float32') // [batch, length, dModel]
  const scaled = config.scaleLogits ? np.multiply(wide, 1 / Math.sqrt(config.dModel)) : wide // [batch, length, dModel]
  const { logits_dense: untied } = params.decoder
  if (!config.tiedLogits && untied === undefined)
    throw new SwitchyardError(
      'the configuration has tiedLogits false, but the parameters have no decoder/logits_dense: use the configuration that the parameters were made with',
    )
  return dense(config.tiedLogits ? { kernel: projection(tokenEmbedding(params, 'decoder')) } : untied!, scaled) // [batch, length, vocab]
}

function noiseOf(options: ForwardOptions): Noise {
  const { config, router, mode, key, dropoutActive } = options
  const isRandom = (['encoder', 'decoder'] as const).some(
    stack => stackLayers(config, stack).some(layer => layer.sparse) && routerOf(options, stack).isRandom,
  )
  const isNoisy =
    mode === 'train' && (isRandom || config.dropoutRate > 0 || router.jitterNoise > 0 || router.expertDropoutRate > 0)
  if (!isNoisy) return noNoise
  if (key === undefined)
    throw new SwitchyardError(
      'training with dropout, jitter or a random router needs a random key: forward(params, batch, { key: random.key(seed), ... })',
    )
  return noiseFrom(key, dropoutActive)
}

import type { Tensor } from '../engine/api/tensor.js'
import { SwitchyardError } from '../base/errors.js'
import * as np from '../engine/api/np.js'
import { remat } from '../engine/api/remat.js'
import { keysAndValues, maskBias } from '../nn/attention.js'
import { dense } from '../nn/dense.js'
import { embed, projection } from '../nn/embedding.js'
import type { Embedding } from '../nn/embedding.js'
import { noNoise, noiseFrom } from '../nn/noise.js'
import type { Noise } from '../nn/noise.js'
import { rmsNorm } from '../nn/rms-norm.js'
import type { ModelConfig, StackName } from './config.js'
import { decoderLayer, encoderLayer, encoderProjections, laidOut, zeroPadding } from './layers.js'
import type { LayerOutput } from './layers.js'
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
  const pass = newPass('encoder', batch.encoder_input_tokens, options, noise, masks.nonPadding)
  return runStack(params, pass, null, (x, i) => {
    const layer = encoder[`layers_${i}`]
    return encoderLayer(layer, x, encoderProjections(layer, x, pass), biasOfLayer(biases, i), pass)
  })
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
  return runStack(params, pass, encoderOutput, (x, i, encoded) => {
    const layer = decoder[`layers_${i}`]
    return decoderLayer(
      layer,
      x,
      {
        self: y => keysAndValues(layer.self_attention, y, config.numHeads),
        cross: keysAndValues(layer.encoder_decoder_attention, encoded, config.numHeads),
        selfBias: biasOfLayer(selfBiases, i),
        crossBias,
      },
      pass,
    )
  })
}

/**
 * Embeds the tokens of a pass, applies its stack's layers in order, and normalizes. The layers get `memory`, the
 * encoder's output, too.
 */
function runStack<M extends Tensor | null>(
  params: ModelParams,
  pass: Pass,
  memory: M,
  layer: (x: Tensor, index: number, memory: M) => LayerOutput,
): StackOutput {
  const { stack, tokenIds: tokens } = pass
  const { config } = pass.options
  const numLayers = stack === 'encoder' ? config.numEncoderLayers : config.numDecoderLayers
  const states = [
    laidOut(
      pass.noise.dropout(
        embed(tokenEmbedding(params, stack), tokens, config.dModel, config.dtype),
        pass.dropoutRate,
        1,
      ),
      pass,
    ),
  ] // [batch, length, dModel]
  const routers: LayerRecord[] = []
  for (let i = 0; i < numLayers; i++) {
    const input = states[i]
    const run = (y: Tensor, m: M): LayerOutput => layer(y, i, m)
    const { x, record } = (pass.options.remat ? remat(run) : run)(input, memory)
    states.push(x)
    if (record) routers.push({ stack, layer: i, record })
  }
  const output = pass.noise.dropout(stackNorm(params, states[numLayers], pass), pass.dropoutRate, 1) // [batch, length, dModel]
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

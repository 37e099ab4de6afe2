import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { attend, attention, keysAndValues, queriesOf } from '../nn/attention.js'
import type { KeysAndValues } from '../nn/attention.js'
import { mlp } from '../nn/mlp.js'
import type { MlpParams } from '../nn/mlp.js'
import { moeLayer } from '../nn/moe/layer.js'
import type { MoeParams } from '../nn/moe/layer.js'
import type { RouterRecord } from '../nn/moe/types.js'
import { rmsNorm } from '../nn/rms-norm.js'
import type { NormParams } from '../nn/rms-norm.js'
import type { Pass } from './pass.js'
import { moeOptions } from './routing.js'
import type { DecoderLayerParams, EncoderLayerParams } from './types.js'

/** A layer's output, and its router's record if it is sparse. */
export type LayerOutput = {
  x: Tensor // [batch, length, dModel]
  record: RouterRecord | null
}

/** What self-attention reads of tokens. */
export type Projections = KeysAndValues & {
  queries: Tensor // [batch, heads, length, headDim]
}

/** The queries, keys and values of an encoder layer for its input x [batch, length, dModel]. */
export function encoderProjections(
  { attention: params, ...rest }: EncoderLayerParams,
  x: Tensor,
  pass: Pass,
): Projections {
  const { numHeads } = pass.options.config
  const y = normed(rest.pre_attention_layer_norm, x, pass) // [batch, length, dModel]
  return { queries: queriesOf(params, y, numHeads), ...keysAndValues(params, y, numHeads) }
}

/**
 * An encoder layer of x [batch, length, dModel]: self-attention, then the feed-forward network, each with a norm before
 * and a residual around it. The keys and values may be those of more tokens than x has: x is a part of a sequence then.
 */
export function encoderLayer(
  params: EncoderLayerParams,
  x: Tensor,
  { queries, ...keysValues }: Projections,
  bias: Tensor,
  pass: Pass,
): LayerOutput {
  const mixed = attend(params.attention, queries, keysValues, bias, pass.noise, pass.dropoutRate) // [batch, length, dModel]
  return feedForward(params, laidOut(np.add(x, pass.noise.dropout(mixed, pass.dropoutRate, 1)), pass), pass)
}

export interface DecoderAttention {
  /**
   * Self-attention's keys and values, from the layer's normalized input [batch, length, dModel]. Decoding appends them
   * to a cache.
   */
  self: (y: Tensor) => KeysAndValues
  cross: KeysAndValues
  selfBias: Tensor // broadcasts to [batch, heads, query, key]
  crossBias: Tensor // broadcasts to [batch, heads, query, key]
}

/**
 * A decoder layer of x [batch, length, dModel]: self-attention, cross attention to the encoder's output, feed-forward
 * network.
 */
export function decoderLayer(
  params: DecoderLayerParams,
  x: Tensor,
  { self, cross, selfBias, crossBias }: DecoderAttention,
  pass: Pass,
): LayerOutput {
  const { noise, dropoutRate } = pass
  const attended = residual(params.pre_self_attention_layer_norm, x, pass, y =>
    attention(params.self_attention, y, self(y), selfBias, noise, dropoutRate),
  )
  const informed = residual(params.pre_cross_attention_layer_norm, attended, pass, y =>
    attention(params.encoder_decoder_attention, y, cross, crossBias, noise, dropoutRate),
  )
  return feedForward(params, informed, pass)
}

function feedForward(
  params: { pre_mlp_layer_norm: NormParams; mlp: MlpParams | MoeParams },
  x: Tensor,
  pass: Pass,
): LayerOutput {
  let record: RouterRecord | null = null
  const { activation } = pass.options.config
  const output = residual(params.pre_mlp_layer_norm, x, pass, y => {
    if (!('router' in params.mlp)) return mlp(params.mlp, y, activation, pass.noise, pass.dropoutRate)
    record = moeLayer(params.mlp, y, pass.routed, moeOptions(pass, pass.tokenIds), pass.noise)
    return record.output
  })
  return { x: output, record }
}

/**
 * One sublayer with its norm and residual: x + dropout(f(norm(x))), of x [batch, length, dModel]. The sum is float32
 * from a stack's first sparse layer on, since a sparse layer's output is float32.
 */
const residual = (norm: NormParams, x: Tensor, pass: Pass, f: (y: Tensor) => Tensor): Tensor =>
  laidOut(np.add(x, pass.noise.dropout(f(normed(norm, x, pass)), pass.dropoutRate, 1)), pass) // [batch, length, dModel]

/** A sublayer's norm of x [batch, length, dModel], in the model's dtype. */
function normed(norm: NormParams, x: Tensor, pass: Pass): Tensor {
  const { layerNormEpsilon, dtype } = pass.options.config
  return zeroPadding(rmsNorm(norm, x, layerNormEpsilon, dtype), pass) // [batch, length, dModel]
}

/** x [batch, length, dModel], with its rows divided over the devices, if there are several. */
export const laidOut = (x: Tensor, { options }: Pick<Pass, 'options'>): Tensor =>
  options.constrain ? options.constrain(x, ['batch', 'length', 'embed']) : x // [batch, length, dModel]

/** Sets x [batch, length, dModel] to 0 at padding positions, if the meaning asks for it. */
export function zeroPadding(x: Tensor, { meaning, nonPadding }: Pick<Pass, 'meaning' | 'nonPadding'>): Tensor {
  if (!meaning.zeroesPadding || nonPadding === null) return x // [batch, length, dModel]
  return np.multiply(x, np.astype(np.expandDims(nonPadding, 2), x.dtype)) // [batch, length, dModel]
}

import type { Tensor } from '../engine/api/tensor.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import { specialIdsOf } from '../model/config.js'
import type { StackName } from '../model/config.js'
import { encode, outputLogits, stackNorm, tokenEmbedding } from '../model/forward.js'
import { decoderLayer } from '../model/layers.js'
import { newPass } from '../model/pass.js'
import type { Pass } from '../model/pass.js'
import { causalMask, keyMask } from '../model/masks.js'
import { nonPaddingTokens } from '../model/padding.js'
import { addMask, biasOfLayer, positionBiases } from '../model/position-bias.js'
import type { DecoderLayerParams, ForwardOptions, ModelParams } from '../model/types.js'
import { keysAndValues, maskBias } from '../nn/attention.js'
import type { KeysAndValues } from '../nn/attention.js'
import { embed } from '../nn/embedding.js'
import { noNoise } from '../nn/noise.js'
import { rowsAt } from '../nn/rows.js'

/**
 * The id of padding in inference. It is no token, so an input may hold any id: there are models whose padding id is
 * also their EOS.
 */
export const NO_TOKEN = -1

/** The options of a pass over inputs that are padded with `NO_TOKEN`. */
export const ofPaddedInputs = ({ config, ...options }: ForwardOptions): ForwardOptions => ({
  ...options,
  config: { ...config, specialIds: { ...specialIdsOf(config), padId: NO_TOKEN } },
})

/** What the decoder reads of the inputs. It is computed once for a batch. */
export type EncodedInputs = {
  /** Keys and values of the encoder's output, for each decoder layer's cross attention. */
  cross: KeysAndValues[]
  crossBias: Tensor // [batch, 1, 1, encoder length]
}

/** Each layer's keys and values of the tokens so far. The shape is fixed; positions of later tokens are masked. */
export type DecodeCache = KeysAndValues[] // [batch, heads, maxLength, headDim] each

export interface DecodeSizes {
  rows: number
  inputLength: number
  maxLength: number
}

/** The tables of relative position biases, the only parameters that `startDecoding` reads. */
export type PositionTables = { [S in StackName]: Tensor[] } // [heads, buckets] each

export type DecodeStart = {
  /** One bias that all layers share, or one for each layer. The same holds for selfBiases. */
  encoderBiases: Tensor[] // [1, heads, inputLength, inputLength]
  selfBiases: Tensor[] // [1, heads, maxLength, maxLength]
  cache: DecodeCache
}

/**
 * A pass over one position. Its tokens are routed without capacity, as in every reference that decodes with a cache.
 */
const passOf = (tokens: Tensor, options: ForwardOptions): Pass => ({
  ...newPass('decoder', tokens, options, noNoise, null),
  dropless: true,
})

/** The values that depend only on the sizes of a batch: relative position biases, and an empty cache. */
export function startDecoding(
  tables: PositionTables,
  { rows, inputLength, maxLength }: DecodeSizes,
  options: ForwardOptions,
): DecodeStart {
  const { config } = options
  const nothing = (): Tensor => np.zeros([rows, config.numHeads, maxLength, config.headDim], config.dtype) // [batch, heads, maxLength, headDim]
  return {
    encoderBiases: positionBiases(tables.encoder, 'encoder', inputLength, options),
    selfBiases: addMask(positionBiases(tables.decoder, 'decoder', maxLength, options), causalMask(maxLength)),
    cache: Array.from({ length: config.numDecoderLayers }, () => ({ keys: nothing(), values: nothing() })),
  }
}

/**
 * Encodes each of the inputs [inputs, length] (padded with `NO_TOKEN`) once, and copies the results to the rows of the
 * batch by `inputOfRow` [batch].
 */
export function encodeInputs(
  params: ModelParams,
  inputs: Tensor,
  inputOfRow: Tensor,
  encoderBiases: Tensor[],
  options: ForwardOptions,
): EncodedInputs {
  const { output } = encode(params, { encoder_input_tokens: inputs }, options, noNoise, encoderBiases)
  const ofRows = (x: Tensor): Tensor => rowsAt(x, inputOfRow) // [batch, ...]
  return {
    cross: decoderLayers(params, options).map(layer => {
      const { keys, values } = keysAndValues(layer.encoder_decoder_attention, output, options.config.numHeads) // [inputs, heads, length, headDim]
      return { keys: ofRows(keys), values: ofRows(values) }
    }),
    crossBias: ofRows(maskBias(keyMask(nonPaddingTokens(inputs, undefined, NO_TOKEN)))),
  }
}

/**
 * Decodes one token for each row. `tokens` [batch] are the tokens at position `step` (an int32 scalar) of the output.
 * Returns the logits [batch, vocab] of the next token, and the cache with the keys and values of `tokens` added.
 */
export function decodeStep(
  params: ModelParams,
  encoded: EncodedInputs,
  selfBiases: Tensor[],
  cache: DecodeCache,
  tokens: Tensor,
  step: Tensor,
  options: ForwardOptions,
): { logits: Tensor; cache: DecodeCache } {
  const { config } = options
  const current = np.expandDims(tokens, 1) // [batch, 1]
  const pass = passOf(current, options)
  const ownBiases = selfBiases.map(bias =>
    lax.dynamicSlice(bias, [0, 0, step, 0], [1, config.numHeads, 1, bias.shape[3]]),
  ) // [1, heads, 1, maxLength]
  const next: DecodeCache = []
  let x = embed(tokenEmbedding(params, 'decoder'), current, config.dModel, config.dtype) // [batch, 1, dModel]
  decoderLayers(params, options).forEach((layer, i) => {
    const self = (y: Tensor): KeysAndValues => {
      const { keys, values } = keysAndValues(layer.self_attention, y, config.numHeads) // [batch, heads, 1, headDim]
      const at = [0, 0, step, 0]
      next.push({
        keys: lax.dynamicUpdateSlice(cache[i].keys, keys, at),
        values: lax.dynamicUpdateSlice(cache[i].values, values, at),
      })
      return next[i]
    }
    x = decoderLayer(
      layer,
      x,
      { self, cross: encoded.cross[i], selfBias: biasOfLayer(ownBiases, i), crossBias: encoded.crossBias },
      pass,
    ).x // [batch, 1, dModel]
  })
  const logits = outputLogits(params, stackNorm(params, x, pass), config) // [batch, 1, vocab]
  return { logits: np.squeeze(logits, 1), cache: next }
}

function decoderLayers({ decoder }: ModelParams, { config }: ForwardOptions): DecoderLayerParams[] {
  const layers: DecoderLayerParams[] = []
  for (let i = 0; i < config.numDecoderLayers; i++) layers.push(decoder[`layers_${i}`])
  return layers
}

import type { Tensor } from '../engine/api/tensor.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import { specialIdsOf } from '../model/config.js'
import type { ModelConfig, StackName } from '../model/config.js'
import { outputLogits, stackNorm, tokenEmbedding } from '../model/forward.js'
import { decoderLayer } from '../model/layers.js'
import { newPass } from '../model/pass.js'
import type { Pass } from '../model/pass.js'
import { biasOfLayer } from '../model/position-bias.js'
import type { DecoderLayerParams, ForwardOptions, ModelParams } from '../model/types.js'
import { keysAndValues } from '../nn/attention.js'
import type { KeysAndValues } from '../nn/attention.js'
import { embed } from '../nn/embedding.js'
import type { RouterRecord } from '../nn/moe/types.js'
import { noNoise } from '../nn/noise.js'
import { rowsAt } from '../nn/rows.js'
import { NUM_BEST } from './row-scores.js'
import { chosenExperts } from './chosen-experts.js'
import type { StepInputs } from './step-inputs.js'

/**
 * The id of padding in inference, and of a free row's token. It is no token, so an input may hold any id: there are
 * models whose padding id is also their EOS.
 */
export const NO_TOKEN = -1

/** The options of a pass over inputs that are padded with `NO_TOKEN`. */
export const ofPaddedInputs = ({ config, ...options }: ForwardOptions): ForwardOptions => ({
  ...options,
  config: { ...config, specialIds: { ...specialIdsOf(config), padId: NO_TOKEN } },
})

/** Keys and values of each decoder layer. All arrays have one shape: [rows, heads, length, headDim]. */
export type LayerMemory = KeysAndValues[]

/** What the decoder remembers of its rows. A row is one sequence that is decoded. */
export type DecoderMemory = {
  /**
   * Of the encoder's output, for cross attention. `length` is that of the inputs; shorter inputs are hidden at the end.
   * null: no inputs yet.
   */
  cross: LayerMemory | null
  /** Of the row's own tokens so far. Positions of later tokens are hidden. */
  self: LayerMemory
}

export interface MemorySizes {
  rows: number
  inputLength: number
  /** The most tokens that a row can have. */
  length: number
}

/** The bias of every distance, for each table of a stack's relative positions: [heads, distances] each. */
export type DistanceBiases = { [S in StackName]: Tensor[] }

/** The keys and values of `rows` rows of `length` positions, all zeros. */
export function emptyMemory(rows: number, length: number, config: ModelConfig): LayerMemory {
  const { numHeads, headDim, numDecoderLayers, dtype } = config
  return Array.from({ length: numDecoderLayers }, () => ({
    keys: np.zeros([rows, numHeads, length, headDim], dtype), // [rows, heads, length, headDim]
    values: np.zeros([rows, numHeads, length, headDim], dtype), // [rows, heads, length, headDim]
  }))
}

/**
 * Writes the first positions of rows of a memory: row `rows[i]` gets row `sources[i]` of `parts`, which are not longer
 * than the memory. `rows` [count] holds no row twice.
 */
export const writeRows = (memory: LayerMemory, parts: LayerMemory, sources: Tensor, rows: Tensor): LayerMemory =>
  memory.map(({ keys, values }, i) => ({
    keys: writeArray(keys, rowsAt(parts[i].keys, sources), rows),
    values: writeArray(values, rowsAt(parts[i].values, sources), rows),
  }))

function writeArray(x: Tensor, part: Tensor, rows: Tensor): Tensor {
  const grid = part.shape.slice(0, 3) // [count, heads, length]
  const [, heads, length] = grid
  const along = (indices: Tensor, axis: number): Tensor =>
    np.broadcastTo(
      np.reshape(
        indices,
        grid.map((n, i) => (i === axis ? n : 1)),
      ),
      grid,
    )
  const at = np.stack([along(rows, 0), along(np.arange(heads, 'int32'), 1), along(np.arange(length, 'int32'), 2)], 3) // [count, heads, length, 3]
  return written(x, at, part) // [rows, heads, length, headDim]
}

/**
 * Writes vectors [..., headDim] at different positions [..., 3] (row, head, position) of x, in place if x is donated.
 */
const written = (x: Tensor, positions: Tensor, vectors: Tensor): Tensor =>
  lax.scatter(x, positions, vectors, { axes: [0, 1, 2], batchDims: 0, mode: 'clip', uniqueIndices: true }) // [rows, heads, length, headDim]

/** The rows `sources` [rows] of a memory, with each row cut to `length` positions, or filled up with zeros. */
export const copyRows = (memory: LayerMemory, sources: Tensor, length: number): LayerMemory => {
  const resized = (x: Tensor): Tensor => {
    const rows = rowsAt(
      x.shape[2] > length ? lax.slice(x, [0, 0, 0, 0], [...x.shape.slice(0, 2), length, x.shape[3]]) : x,
      sources,
    ) // [rows, heads, length, headDim]
    return np.pad(rows, [
      [0, 0],
      [0, 0],
      [0, length - rows.shape[2]],
      [0, 0],
    ]) // [rows, heads, length, headDim]
  }
  return memory.map(({ keys, values }) => ({ keys: resized(keys), values: resized(values) }))
}

/**
 * A pass over one position. Its tokens are routed without capacity, as in every reference that decodes with a cache.
 * Free rows are not routed, so that no expert is computed, or read, for them.
 */
const passOf = (tokens: Tensor, options: ForwardOptions): Pass => ({
  ...newPass('decoder', tokens, options, noNoise, null),
  routed: np.notEqual(tokens, NO_TOKEN), // [rows, 1]
  dropless: true,
})

export type Decoded = {
  /** See `BestTokens`. */
  best: { ids: Tensor; scores: Tensor } // [rows, count]
  logits: Tensor // [asked, vocab]
  /** See `chosenExperts`. */
  experts: Tensor[] // [layers, rows, 1, choices]
  self: LayerMemory
}

/**
 * Decodes one token of each row. `tokens` [rows] are the tokens at the positions that the step's inputs are made for,
 * `NO_TOKEN` for a free row, whose results have no meaning; `crossBias` [rows, 1, 1, input length] hides padding.
 * Returns the most probable next tokens of each row, the logits of the rows `asked` [asked], the experts that `tokens`
 * met, and the self-attention memory with the keys and values of `tokens` added.
 */
export function decodeStep(
  params: ModelParams,
  { cross, crossBias }: { cross: LayerMemory; crossBias: Tensor },
  { at, selfBiases }: StepInputs,
  memory: LayerMemory,
  tokens: Tensor,
  asked: Tensor,
  options: ForwardOptions,
): Decoded {
  const { config } = options
  const current = np.expandDims(tokens, 1) // [rows, 1]
  const pass = passOf(current, options)
  const next: LayerMemory = []
  const routers: RouterRecord[] = []
  let x = embed(tokenEmbedding(params, 'decoder'), current, config.dModel, config.dtype) // [rows, 1, dModel]
  decoderLayers(params, options).forEach((layer, i) => {
    const self = (y: Tensor): KeysAndValues => {
      const { keys, values } = keysAndValues(layer.self_attention, y, config.numHeads) // [rows, heads, 1, headDim]
      next.push({
        keys: written(memory[i].keys, at, np.squeeze(keys, 2)), // [rows, heads, length, headDim]
        values: written(memory[i].values, at, np.squeeze(values, 2)), // [rows, heads, length, headDim]
      })
      return next[i]
    }
    const attention = { self, cross: cross[i], selfBias: biasOfLayer(selfBiases, i), crossBias }
    const layerOutput = decoderLayer(layer, x, attention, pass)
    x = layerOutput.x // [rows, 1, dModel]
    if (layerOutput.record) routers.push(layerOutput.record)
  })
  const logits = np.squeeze(outputLogits(params, stackNorm(params, x, pass), config), 1) // [rows, vocab]
  const [scores, ids] = lax.topK(logits, Math.min(NUM_BEST, config.vocabSize)) // [rows, count] each
  return { best: { ids, scores }, logits: rowsAt(logits, asked), experts: chosenExperts(routers, pass), self: next }
}

/** The parameters of the decoder's layers, in order. */
export function decoderLayers({ decoder }: ModelParams, { config }: ForwardOptions): DecoderLayerParams[] {
  const layers: DecoderLayerParams[] = []
  for (let i = 0; i < config.numDecoderLayers; i++) layers.push(decoder[`layers_${i}`])
  return layers
}

import type { Tree } from '../base/pytree.js'
import { evalShape } from '../engine/api/eval-shape.js'
import type { TensorType } from '../engine/api/eval-shape.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import * as tree from '../engine/api/tree.js'
import { stackLayers } from '../model/config.js'
import { stackNorm, tokenEmbedding } from '../model/forward.js'
import { encoderLayer, encoderProjections } from '../model/layers.js'
import type { Projections } from '../model/layers.js'
import { meaningOf } from '../model/meaning.js'
import { nonPaddingTokens } from '../model/padding.js'
import { newPass } from '../model/pass.js'
import { biasOfLayer } from '../model/position-bias.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { keysAndValues } from '../nn/attention.js'
import type { KeysAndValues } from '../nn/attention.js'
import { embed } from '../nn/embedding.js'
import { noNoise } from '../nn/noise.js'
import { chosenExperts } from './chosen-experts.js'
import { decoderLayers, NO_TOKEN, ofPaddedInputs } from './decode.js'
import type { LayerMemory } from './decode.js'

/*
 * The encoder in stages, for a part of its inputs: the same positions of each input, or all of them. Steps of the
 * decoder can run between two stages, and between two parts. Stage 0 embeds the tokens, stage i runs layer i - 1, and
 * the last stage computes what the decoder reads. A layer's queries, keys and values are computed by the stage before
 * it, because the layer reads the keys and values of all parts.
 */

/** What a part is between two stages. */
export type PartState = {
  x: Tensor // [inputs, part, dModel], float32
  /** For the next layer's self-attention. */
  self: Projections // [inputs, heads, part, headDim] each
}

/** The tokens of a part, and what its self-attention reads besides its `PartState`. */
export type PartInputs = {
  ids: Tensor // [inputs, part], padded with NO_TOKEN
  /** The keys and values of the tokens before the part and after it. */
  before: KeysAndValues
  after: KeysAndValues
  /**
   * For each table of relative positions, the biases of the part's queries, with padding hidden. `length` is that of
   * `before`, the part and `after` together.
   */
  biases: Tensor[] // [inputs, heads, part, length] each
}

/** What stages give for a part. */
export type PartOutput = {
  state: PartState
  /** See `chosenExperts`: [1, inputs, part, choices] for each sparse layer. */
  experts: Tensor[]
}

/** The stages: see above. */
export interface Stages {
  start(): PartState
  readonly layers: readonly ((state: PartState) => PartOutput)[]
  /** For the cross attention of each decoder layer, [inputs, heads, part, headDim]. */
  finish(x: Tensor): LayerMemory
}

/** The stages of the encoder for a part. */
export function stagesOf(
  params: ModelParams,
  { ids, before, after, biases }: PartInputs,
  options: ForwardOptions,
): Stages {
  const { config } = options
  const layers = stackLayers(config, 'encoder')
  const nonPadding = meaningOf(options).encoderTokens(nonPaddingTokens(ids, undefined, NO_TOKEN)) // [inputs, part]
  const pass = newPass('encoder', ids, ofPaddedInputs(options), noNoise, nonPadding)
  const projections = (layer: number, x: Tensor): Projections =>
    encoderProjections(params.encoder[`layers_${layer}`], x, pass)
  const whole = (own: Projections, name: 'keys' | 'values'): Tensor =>
    np.concatenate([before[name], own[name], after[name]], 2) // [inputs, heads, length, headDim]
  /** The dtype of a layer's input. Residuals are float32 from the first sparse layer on. */
  const dtypeBefore = (layer: number): 'float32' | 'bfloat16' =>
    layers.slice(0, layer).some(({ sparse }) => sparse) ? 'float32' : config.dtype
  const wide = (x: Tensor): Tensor => np.astype(x, 'float32')
  return {
    start: () => {
      const x = embed(tokenEmbedding(params, 'encoder'), ids, config.dModel, config.dtype) // [inputs, part, dModel]
      return { x: wide(x), self: projections(0, x) }
    },
    layers: layers.map((_, i) => ({ x: input, self }) => {
      const all = { queries: self.queries, keys: whole(self, 'keys'), values: whole(self, 'values') }
      const x = np.astype(input, dtypeBefore(i)) // [inputs, part, dModel]
      const output = encoderLayer(params.encoder[`layers_${i}`], x, all, biasOfLayer(biases, i), pass)
      return {
        state: { x: wide(output.x), self: i + 1 < layers.length ? projections(i + 1, output.x) : self },
        experts: output.record ? chosenExperts([output.record], pass) : [],
      }
    }),
    finish: input => {
      const x = stackNorm(params, np.astype(input, dtypeBefore(layers.length)), pass) // [inputs, part, dModel]
      return decoderLayers(params, options).map(layer =>
        keysAndValues(layer.encoder_decoder_attention, x, config.numHeads),
      )
    },
  }
}

/** The positions of a part for which stages give results: indices, of which there may be none. */
export type Positions = {
  /** For which the part's state is given, for the next stages. */
  kept: Tensor // [kept], int32
  /** For which the last stage runs. Runs of other stages make no memory. */
  finished: Tensor // [finished], int32
}

/**
 * Runs the stages from number `range[0]` up to, but not including, `range[1]` on a part; `range` [2] is int32. They
 * start from `given`, unless stage 0 is among them. The experts of layers that do not run are zeros. (One program of
 * all stages has one copy of the weights, for whole inputs and for parts.)
 */
export function encodePart(
  params: ModelParams,
  part: PartInputs,
  given: PartState,
  range: Tensor,
  { kept, finished }: Positions,
  options: ForwardOptions,
): PartOutput & { memory: LayerMemory } {
  const { start, layers, finish } = stagesOf(params, part, options)
  const [first, end] = [0, 1].map(i => np.reshape(lax.slice(range, [i], [i + 1]), [])) // []
  const runs = (stage: number): Tensor => np.logicalAnd(np.lessEqual(first, stage), np.less(stage, end)) // []
  let state = lax.cond(runs(0), start, () => given)
  const experts: Tensor[] = []
  let noExperts: (() => Tensor[]) | undefined
  stackLayers(options.config, 'encoder').forEach(({ sparse }, i) => {
    // All sparse layers give the same types.
    if (sparse) noExperts ??= zerosOf(() => layers[i](state).experts)
    const output = lax.cond(
      runs(i + 1),
      layers[i],
      (x: PartState): PartOutput => ({ state: x, experts: sparse ? noExperts!() : [] }),
      state,
    )
    state = output.state
    experts.push(...output.experts)
  })
  const { x, self } = state
  const at = (y: Tensor): Tensor => np.take(y, kept, 2) // [inputs, heads, kept, headDim]
  return {
    state: {
      x: np.take(x, kept, 1), // [inputs, kept, dModel]
      self: { queries: at(self.queries), keys: at(self.keys), values: at(self.values) },
    },
    experts,
    memory: finish(np.take(x, finished, 1)),
  }
}

/** A function that returns what `f` does, with zeros in place of all numbers. */
function zerosOf<R extends TensorTree>(f: () => R): () => R {
  const types = evalShape(f)() as Tree<TensorType>
  return () => tree.map(({ dtype, shape }: TensorType) => np.zeros(shape, dtype), types) as R
}

import { hostFrom } from '../base/host-tensor.js'
import { isPaged } from '../engine/api/paged-array.js'
import { specialize } from '../engine/api/specialize.js'
import type { SpecializeOptions } from '../engine/api/specialize.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as tree from '../engine/api/tree.js'
import { stackLayers } from '../model/config.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import type { LayerMemory } from './decode.js'
import { encodePart, stagesOf } from './encode.js'
import type { PartInputs, PartOutput, PartState, Positions } from './encode.js'
import { encodeTypes, finishTypes, layerTypes, startTypes } from './example-types.js'

/** Stages of the encoder, from number `first` up to, but not including, `end`. */
export interface StageRange {
  readonly first: number
  readonly end: number
}

/** What stages give: `memory` if the last stage is among them, and `state` if it is not. The other one is empty. */
export type StagesOutput = PartOutput & { memory: LayerMemory }

/** Receives a message if a function is compiled for each size: see `SpecializeOptions`. */
export type Notices = Pick<SpecializeOptions, 'onNotice'>

/** The encoder, compiled once for all numbers of inputs, all lengths and all parts. It has one copy of the weights. */
export interface CompiledEncoder {
  /** Runs stages on a part: see encode.ts. The first ones start from `state`, unless stage 0 is among them. */
  run(params: ModelParams, part: PartInputs, state: PartState, stages: StageRange): StagesOutput
  /**
   * Copies and packs the parameters for ONNX Runtime. Yields the parameters whose copy is finished, which the encoder
   * does not read again.
   */
  prepare(params: ModelParams): AsyncIterable<readonly Tensor[]>
}

/**
 * `params` decide the form: experts in pages are fetched between programs, so there is one for each stage. `notices`:
 * see `SpecializeOptions`.
 */
export const compileEncoder = (params: ModelParams, options: ForwardOptions, notices: Notices = {}): CompiledEncoder =>
  tree.leaves<Tensor>(params).some(isPaged) ? stageByStage(options, notices) : together(options, notices)

/** One program of all stages. */
function together(options: ForwardOptions, notices: Notices): CompiledEncoder {
  const { config } = options
  const encode = specialize(
    function encode_part(params: ModelParams, part: PartInputs, state: PartState, range: Tensor, positions: Positions) {
      return encodePart(params, part, state, range, positions, options)
    },
    encodeTypes(config),
    notices,
  )
  const last = config.numEncoderLayers + 1
  const sparseStages = stackLayers(config, 'encoder').flatMap(({ sparse }, i) => (sparse ? i + 1 : []))
  return {
    run: (params, part, state, { first, end }) => {
      const finishes = end > last
      const all = ints(Array.from({ length: part.ids.shape[1] }, (_, i) => i))
      const [kept, finished] = finishes ? [ints([]), all] : [all, ints([])]
      const output = encode(params, part, state, ints([first, end]), { kept, finished })
      return {
        state: output.state,
        experts: output.experts.filter((_, i) => first <= sparseStages[i] && sparseStages[i] < end),
        memory: finishes ? output.memory : [],
      }
    },
    prepare: async function* (params) {
      yield encode.prepare(params)
    },
  }
}

const ints = (values: readonly number[]): Tensor => fromHost(hostFrom('int32', [values.length], values))

/** A program for each stage. */
function stageByStage(options: ForwardOptions, notices: Notices): CompiledEncoder {
  const { config } = options
  const start = specialize(
    function start_encoder(params: ModelParams, part: PartInputs) {
      return stagesOf(params, part, options).start()
    },
    startTypes(config),
    notices,
  )
  const layers = stackLayers(config, 'encoder').map((_, i) =>
    specialize(
      function encoder_layer(params: ModelParams, part: PartInputs, state: PartState) {
        return stagesOf(params, part, options).layers[i](state)
      },
      layerTypes(config),
      notices,
    ),
  )
  const finish = specialize(
    function finish_encoder(params: ModelParams, part: PartInputs, x: Tensor) {
      return stagesOf(params, part, options).finish(x)
    },
    finishTypes(config),
    notices,
  )
  return {
    run: (params, part, given, { first, end }) => {
      let state = first === 0 ? start(params, part) : given
      const experts: Tensor[] = []
      for (const layer of layers.slice(Math.max(0, first - 1), end - 1)) {
        const output = layer(params, part, state)
        state = output.state
        experts.push(...output.experts)
      }
      return { state, experts, memory: end > layers.length + 1 ? finish(params, part, state.x) : [] }
    },
    prepare: async function* (params) {
      for (const stage of [start, ...layers, finish]) yield stage.prepare(params)
    },
  }
}

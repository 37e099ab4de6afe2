import { flatten } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import { specialize } from '../engine/api/specialize.js'
import { distanceBiases, positionTables } from '../model/position-bias.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { compileEncoder } from './compiled-encoder.js'
import type { CompiledEncoder, Notices } from './compiled-encoder.js'
import { copyRows, decodeStep, emptyMemory, writeRows } from './decode.js'
import type { Decoded, DistanceBiases, LayerMemory } from './decode.js'
import { decodeTypes, writeTypes } from './example-types.js'
import type { StepInputs } from './step-inputs.js'

/**
 * The functions of encode.ts and decode.ts, compiled. One compiled form and one copy of the weights serve all numbers
 * of rows and all lengths.
 */
export interface CompiledDecoding {
  /** The number of experts of a sparse layer. */
  readonly numExperts: number
  /**
   * Copies and packs the parameters for ONNX Runtime, the encoder's first. Yields the parameters whose copy is
   * finished, so that the caller can release the originals before the next ones are copied.
   */
  prepare(params: ModelParams): AsyncIterable<readonly Tensor[]>
  /** The biases of all distances. The only function besides `prepare` that reads parameters of positions. */
  distances(params: ModelParams): DistanceBiases
  /** A memory of zeros: see `emptyMemory`. */
  empty(rows: number, length: number): LayerMemory
  readonly encoder: Pick<CompiledEncoder, 'run'>
  /** Writes rows of the memory, which is donated: see `writeRows`. */
  write(memory: LayerMemory, parts: LayerMemory, sources: Tensor, rows: Tensor): LayerMemory
  /** Copies rows: see `copyRows`. */
  copy(memory: LayerMemory, sources: Tensor, length: number): LayerMemory
  /** Decodes one token of each row: see `decodeStep`. `self` is donated. */
  advance(
    params: ModelParams,
    encoded: { cross: LayerMemory; crossBias: Tensor },
    places: StepInputs,
    self: LayerMemory,
    tokens: Tensor,
    asked: Tensor,
  ): Decoded
}

/** `params`: those of the model, which decide how the encoder is compiled (see `compileEncoder`). */
export function compileDecoding(
  params: ModelParams,
  options: ForwardOptions,
  { onNotice }: Notices = {},
): CompiledDecoding {
  const { config } = options
  // The functions of a stack's layers have the same message, which is passed on once.
  const said = new Set<string>()
  const notices: Notices = {
    onNotice: message => {
      if (!said.has(message)) onNotice?.(message)
      said.add(message)
    },
  }
  const encoder = compileEncoder(params, options, notices)
  const advance = specialize(
    function decode_step(
      params: ModelParams,
      encoded: { cross: LayerMemory; crossBias: Tensor },
      places: StepInputs,
      self: LayerMemory,
      tokens: Tensor,
      asked: Tensor,
    ) {
      return decodeStep(params, encoded, places, self, tokens, asked, options)
    },
    decodeTypes(config),
    { donate: [3], ...notices },
  )
  const write = specialize(
    function write_rows(
      _: Record<string, never>,
      memory: LayerMemory,
      parts: LayerMemory,
      sources: Tensor,
      rows: Tensor,
    ) {
      return writeRows(memory, parts, sources, rows)
    },
    writeTypes(config),
    { donate: [1], ...notices },
  )
  const noWeights = {}
  const tables = jit(function distance_biases(of: DistanceBiases): DistanceBiases {
    return {
      encoder: distanceBiases(of.encoder, 'encoder', options),
      decoder: distanceBiases(of.decoder, 'decoder', options),
    }
  })
  const empty = jit(
    function empty_memory(rows: number, length: number) {
      return emptyMemory(rows, length, config)
    },
    { static: [0, 1] },
  )
  return {
    numExperts: config.numExperts,
    prepare: async function* (weights) {
      const inEncoder = new Set(flatten<Tensor>(weights.encoder).leaves.map(a => a.value))
      const shared: Tensor[] = []
      for await (const copied of encoder.prepare(weights)) {
        yield copied.filter(a => inEncoder.has(a.value))
        shared.push(...copied.filter(a => !inEncoder.has(a.value)))
      }
      // A parameter that both stacks read (the token embedding) is copied for both, so it is released last.
      yield [...shared, ...(await advance.prepare(weights))]
    },
    distances: weights =>
      tables({
        encoder: positionTables(weights, 'encoder', config),
        decoder: positionTables(weights, 'decoder', config),
      }),
    empty,
    encoder,
    write: (memory, parts, sources, rows) => write(noWeights, memory, parts, sources, rows),
    copy: jit(
      function copy_rows(memory: LayerMemory, sources: Tensor, length: number) {
        return copyRows(memory, sources, length)
      },
      { static: [2] },
    ),
    advance,
  }
}

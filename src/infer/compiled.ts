import { flatten } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import { specialize } from '../engine/api/specialize.js'
import { positionTables } from '../model/position-bias.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { rowsAt } from '../nn/rows.js'
import { decodeStep, encodeInputs, ofPaddedInputs, startDecoding } from './decode.js'
import type { DecodeCache, DecodeStart, EncodedInputs, PositionTables } from './decode.js'
import { decodeTypes, encodeTypes } from './example-types.js'

/**
 * The functions of decode.ts, compiled. One compiled form and one copy of the weights serve all batch sizes and
 * lengths.
 */
export interface CompiledDecoding {
  /**
   * Copies and packs the parameters for ONNX Runtime, the encoder's first. Yields the parameters whose copy is
   * finished, so that the caller can release the originals before the next ones are copied.
   */
  prepare(params: ModelParams): AsyncIterable<readonly Tensor[]>
  /** The position biases and the empty cache of a batch: see `startDecoding`. */
  start(params: ModelParams, rows: number, inputLength: number): DecodeStart
  /** Runs the encoder on inputs that are padded with `NO_TOKEN`: see `encodeInputs`. */
  encode(params: ModelParams, inputs: Tensor, inputOfRow: Tensor, encoderBiases: Tensor[]): EncodedInputs
  /** Decodes one token for each row: see `decodeStep`. The cache is donated. */
  advance(
    params: ModelParams,
    encoded: EncodedInputs,
    selfBiases: Tensor[],
    cache: DecodeCache,
    tokens: Tensor,
    step: Tensor,
  ): { logits: Tensor; cache: DecodeCache }
  /** A cache whose row i is row `parents[i]` of the given one. */
  reorder(cache: DecodeCache, parents: Tensor): DecodeCache
}

export function compileDecoding(given: ForwardOptions, maxLength: number): CompiledDecoding {
  const options = ofPaddedInputs(given)
  const start = jit(
    function start_decoding(tables: PositionTables, rows: number, inputLength: number) {
      return startDecoding(tables, { rows, inputLength, maxLength }, options)
    },
    { static: [1, 2] },
  )
  const encode = specialize(function encode_inputs(
    params: ModelParams,
    inputs: Tensor,
    inputOfRow: Tensor,
    encoderBiases: Tensor[],
  ) {
    return encodeInputs(params, inputs, inputOfRow, encoderBiases, options)
  }, encodeTypes(options.config))
  const advance = specialize(
    function decode_step(
      params: ModelParams,
      encoded: EncodedInputs,
      selfBiases: Tensor[],
      cache: DecodeCache,
      tokens: Tensor,
      step: Tensor,
    ) {
      return decodeStep(params, encoded, selfBiases, cache, tokens, step, options)
    },
    decodeTypes(options.config),
    { donate: [3] },
  )
  const reorder = jit(
    function reorder_cache(cache: DecodeCache, parents: Tensor): DecodeCache {
      return cache.map(({ keys, values }) => ({ keys: rowsAt(keys, parents), values: rowsAt(values, parents) })) // [rows, heads, maxLength, headDim]
    },
    { donate: [0] },
  )
  return {
    start: (params, rows, inputLength) =>
      start(
        {
          encoder: positionTables(params, 'encoder', options.config),
          decoder: positionTables(params, 'decoder', options.config),
        },
        rows,
        inputLength,
      ),
    prepare: async function* (params) {
      const inEncoder = new Set(flatten<Tensor>(params.encoder).leaves.map(a => a.value))
      const copied = await encode.prepare(params)
      yield copied.filter(a => inEncoder.has(a.value))
      // A parameter that both stacks read (the token embedding) is copied for both, so it is released last.
      yield [...copied.filter(a => !inEncoder.has(a.value)), ...(await advance.prepare(params))]
    },
    encode,
    advance,
    reorder,
  }
}

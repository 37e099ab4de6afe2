import type { Array } from '../engine/api/array.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { specialize } from '../engine/api/specialize.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { decodeStep, encodeInputs, startDecoding } from './decode.js'
import type { DecodeCache, DecodeStart, EncodedInputs, PositionParams } from './decode.js'
import { decodeTypes, encodeTypes } from './example-types.js'

/** The parts of decoding (decode.ts), compiled. One compiled form, and one copy of the weights, serves all sizes of a batch. */
export interface CompiledDecoding {
  start(params: ModelParams, rows: number, inputLength: number): DecodeStart
  encode(params: ModelParams, inputs: Array, inputOfRow: Array, encoderBias: Array): EncodedInputs
  advance(params: ModelParams, encoded: EncodedInputs, selfBias: Array, cache: DecodeCache, tokens: Array, step: Array): { logits: Array; cache: DecodeCache }
  /** The cache with row i as row `parents[i]` was. */
  reorder(cache: DecodeCache, parents: Array): DecodeCache
}

/** `release`: see `SpecializeOptions`. */
export function compileDecoding(options: ForwardOptions, maxLength: number, release = false): CompiledDecoding {
  const start = jit(function start_decoding(params: PositionParams, rows: number, inputLength: number) {
    return startDecoding(params, { rows, inputLength, maxLength }, options)
  }, { static: [1, 2] })
  const encode = specialize(function encode_inputs(params: ModelParams, inputs: Array, inputOfRow: Array, encoderBias: Array) {
    return encodeInputs(params, inputs, inputOfRow, encoderBias, options)
  }, encodeTypes(options.config), { release })
  const advance = specialize(function decode_step(params: ModelParams, encoded: EncodedInputs, selfBias: Array, cache: DecodeCache, tokens: Array, step: Array) {
    return decodeStep(params, encoded, selfBias, cache, tokens, step, options)
  }, decodeTypes(options.config), { donate: [3], release })
  const reorder = jit(function reorder_cache(cache: DecodeCache, parents: Array): DecodeCache {
    return cache.map(({ keys, values }) => ({ keys: np.take(keys, parents, 0), values: np.take(values, parents, 0) })) // [rows, heads, maxLength, headDim]
  }, { donate: [0] })
  return {
    start: ({ encoder, decoder }, rows, inputLength) => start({ encoder: { relpos_bias: encoder.relpos_bias }, decoder: { relpos_bias: decoder.relpos_bias } }, rows, inputLength),
    encode, advance, reorder,
  }
}

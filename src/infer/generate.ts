import type { Array } from '../engine/api/array.js'
import { check } from '../base/errors.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { EOS_ID, PAD_ID } from '../data/vocabulary.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { decodeStep, startDecoding } from './decode.js'
import type { DecodeCache, EncodedInputs } from './decode.js'

export interface GenerateOptions {
  config: ModelConfig
  router: RouterConfig
  /** How many tokens are made at most, EOS among them. */
  maxNewTokens: number
}

/** Generates for a batch of inputs [batch, length], int32, 0 being padding: each row's tokens, up to and with EOS if it came. */
export type Generator = (params: ModelParams, inputs: Array) => Promise<number[][]>

/**
 * A generator that takes the most probable token at each step. It compiles once for each shape of inputs: keep it, and
 * give it few different shapes. A row's answer depends neither on the other rows nor on its padding.
 */
export function makeGreedyGenerator({ config, router, maxNewTokens }: GenerateOptions): Generator {
  check(Number.isInteger(maxNewTokens) && maxNewTokens > 0, () => `maxNewTokens must be a positive whole number, not ${maxNewTokens}`)
  const options: ForwardOptions = { config, router, mode: 'eval' }
  const start = jit(function start_decoding(params: ModelParams, inputs: Array) { return startDecoding(params, inputs, maxNewTokens, options) })
  const advance = jit(function decode_step(params: ModelParams, encoded: EncodedInputs, cache: DecodeCache, tokens: Array, step: Array) {
    const { logits, cache: next } = decodeStep(params, encoded, cache, tokens, step, options)
    return { tokens: np.argmax(logits), cache: next, step: np.add(step, 1) }
  }, { donate: [2] })

  return async (params, inputs) => {
    const [rows] = inputs.shape
    const { encoded, cache } = start(params, inputs)
    const sequences: number[][] = globalThis.Array.from({ length: rows }, () => [])
    const isOpen = (sequence: number[]): boolean => sequence.at(-1) !== EOS_ID
    // T5 has no token for the beginning: decoding starts from padding.
    let state = { tokens: np.full([rows], PAD_ID, 'int32'), cache, step: np.full([], 0, 'int32') }
    for (let made = 0; made < maxNewTokens && sequences.some(isOpen); made++) {
      state = advance(params, encoded, state.cache, state.tokens, state.step)
      const tokens = await state.tokens.numbers()
      sequences.forEach((sequence, row) => { if (isOpen(sequence)) sequence.push(tokens[row]) })
    }
    return sequences
  }
}

/** Greedy generation in one call. To generate more than once keep the generator: see makeGreedyGenerator. */
export const generate = (params: ModelParams, inputs: Array, options: GenerateOptions): Promise<number[][]> => makeGreedyGenerator(options)(params, inputs)

import { hostFrom } from '../base/host-tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { Answer, Search } from '../infer/search.js'
import { specialIdsOf } from '../model/config.js'
import { forward } from '../model/forward.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { HfModel } from './hf-folder.js'

/** One search that is running: the tokens of each of its rows, the start token first. */
interface Running {
  readonly search: Search
  rows: readonly (readonly number[])[]
  isDone: boolean
}

/**
 * Generates as HF does with `use_cache=False`: each step runs the decoder on all tokens of the answers so far. Unlike a
 * step with a cache, which routes one token, it routes them all, and drops those beyond an expert's capacity. `inputs`
 * are token ids without padding. Resolves to the answers of each input.
 */
export async function generateWithoutCache(
  { model, router, params }: HfModel,
  inputs: readonly (readonly number[])[],
  searches: readonly Search[],
  limit: number,
): Promise<(readonly Answer[])[]> {
  const logitsOf = jit((p: ModelParams, batch: Batch, step: Tensor) =>
    np.take(forward(p, batch, { config: model, router, mode: 'eval' }).logits, step, 1),
  )
  const { decoderStartId } = specialIdsOf(model)
  const all = searches.map((search): Running => ({
    search,
    rows: Array.from({ length: search.rows }, () => [decoderStartId]),
    isDone: false,
  }))
  const encoderRows = all.flatMap(({ rows }, i) => rows.map(() => inputs[i]))
  const inputLength = Math.max(...inputs.map(({ length }) => length))
  for (let step = 0; step < limit && !all.every(({ isDone }) => isDone); step++) {
    const decoderRows = all.flatMap(({ rows }) => rows)
    const logits = logitsOf(params, batchOf(encoderRows, inputLength, decoderRows, limit), np.array(step, 'int32')) // [rows, vocab]
    const values = (await logits.data()).data as Float32Array
    const vocab = logits.shape[1]
    let first = 0
    for (const running of all) {
      const end = first + running.rows.length
      if (!running.isDone) advance(running, values.subarray(first * vocab, end * vocab))
      first = end
    }
  }
  return searches.map(search => search.answers())
}

/** Lets a search choose the next token of each row by the logits [rows * vocab]. */
function advance(running: Running, logits: Float32Array): void {
  const next = running.search.next(logits)
  if (next === null) running.isDone = true
  else running.rows = next.tokens.map((token, i) => [...running.rows[next.parents?.[i] ?? i], token])
}

/** Inputs with answers so far. What follows a row's last token is hidden from it by the causal mask. */
function batchOf(
  inputs: readonly (readonly number[])[],
  inputLength: number,
  answers: readonly (readonly number[])[],
  answerLength: number,
): Batch {
  const decoderTokens = matrix(answers, answerLength)
  return {
    encoder_input_tokens: matrix(inputs, inputLength),
    encoder_mask: np.notEqual(
      matrix(
        inputs.map(ids => ids.map(() => 1)),
        inputLength,
      ),
      0,
    ),
    decoder_input_tokens: decoderTokens,
    decoder_target_tokens: decoderTokens,
    decoder_loss_weights: np.zerosLike(decoderTokens),
  }
}

/** Rows of ids as a tensor [rows, length], filled up with zeros. */
const matrix = (rows: readonly (readonly number[])[], length: number): Tensor =>
  fromHost(
    hostFrom(
      'int32',
      [rows.length, length],
      rows.flatMap(row => Array.from({ length }, (_, i) => row[i] ?? 0)),
    ),
  )

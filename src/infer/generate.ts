import { hostTensor } from '../base/host-tensor.js'
import type { SpecialIds } from '../base/special-ids.js'
import { fromHost, hostView, releaseArrays } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { specialIdsOf } from '../model/config.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Meaning } from '../model/meaning.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import { compileDecoding } from './compiled.js'
import { NO_TOKEN } from './decode.js'
import { checkSetting } from './processors.js'
import { checkNext, greedySearch } from './search.js'
import type { Answer, NextTokens, Search } from './search.js'

export interface GenerateOptions {
  config: ModelConfig
  router: RouterConfig
  /** A router to use instead of the one that `router` names. */
  customRouter?: Router
  /** A meaning to follow instead of the one that `config.reference` names. */
  meaning?: Meaning
  /** The most tokens an answer has, EOS included. */
  maxNewTokens: number
  /**
   * If true, the generator takes the parameters over: it packs them for matmuls and releases the originals, so that
   * memory holds them once. They cannot be used for anything else afterwards.
   */
  release?: boolean
}

/** Options of one call of a generator. */
export interface BatchOptions {
  /** Ends generation. The answers are those that the searches have when it is aborted. */
  signal?: AbortSignal
  /** Called after every decoding step. */
  onStep?: () => void
}

/**
 * Generates answers to a batch of inputs. `inputs[i]` holds token ids, EOS included; `searches[i]`
 * chooses the tokens of its answers. Resolves to the answers of each input.
 */
export type Generator = (
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  searches: readonly Search[],
  options?: BatchOptions,
) => Promise<(readonly Answer[])[]>

/**
 * Input lengths are rounded up to a multiple of this, and the numbers of inputs and of rows to powers of two, so that
 * few different shapes are compiled. A row is one sequence that is decoded: a search has one, or one for each beam.
 */
const LENGTH_MULTIPLE = 16

/**
 * Makes a generator for a model. It runs the encoder once, then decodes one token for all rows in each step until every
 * search has finished. It compiles once for each batch shape, so keep it for later calls. An input's answers depend
 * neither on the other inputs of its batch nor on padding.
 */
export function makeGenerator({
  config,
  router,
  customRouter,
  meaning,
  maxNewTokens,
  release,
}: GenerateOptions): Generator {
  const specialIds = specialIdsOf(config)
  const options: ForwardOptions = { config, router, customRouter, meaning, mode: 'eval' }
  const { prepare, start, encode, advance, reorder } = compileDecoding(options, maxNewTokens)

  /** The parameter trees that this generator has taken over, or is taking over. */
  const owned = new WeakMap<ModelParams, Promise<void>>()
  const own = (params: ModelParams): Promise<void> => {
    const owning = owned.get(params) ?? takeOver(prepare(params))
    owned.set(params, owning)
    owning.catch(() => owned.delete(params))
    return owning
  }

  return async (params, inputs, searches, { signal, onStep } = {}) => {
    if (inputs.length === 0) return []
    const layout = rowsOf(searches)
    if (release) await own(params)
    const ids = padded(inputs.map(input => withoutPadding(input, specialIds)))
    const { encoderBiases, selfBiases, cache: empty } = start(params, layout.inputOfRow.length, ids.shape[1])
    const encoded = encode(params, ids, ints(layout.inputOfRow), encoderBiases)
    let cache = empty
    let tokens = ints(layout.inputOfRow.map(() => specialIds.decoderStartId))
    const open = new Set(searches)
    for (let step = 0; open.size > 0 && step < maxNewTokens && !signal?.aborted; step++) {
      const position = fromHost(hostTensor('int32', [], Int32Array.of(step)))
      const decoded = advance(params, encoded, selfBiases, cache, tokens, position)
      cache = decoded.cache
      const vocab = decoded.logits.shape[1]
      const logits = (await hostView(decoded.logits)).data as Float32Array // [rows * vocab]
      const chosen = layout.inputOfRow.map(() => specialIds.padId)
      const parents = layout.inputOfRow.map((_, row) => row)
      searches.forEach((search, i) => {
        if (!open.has(search)) return
        const first = layout.firstRow[i]
        const next = search.next(logits.subarray(first * vocab, (first + search.rows) * vocab))
        if (next === null) return void open.delete(search)
        checkNext(next, search.rows, vocab)
        writeChoice(next, first, chosen, parents)
      })
      if (parents.some((parent, row) => parent !== row)) cache = reorder(cache, ints(parents))
      tokens = ints(chosen)
      onStep?.()
    }
    return searches.map(search => search.answers())
  }
}

/**
 * Frees arrays as soon as the backend has copied them. A later use of one is an error that says that a generator owns
 * it.
 */
async function takeOver(copied: AsyncIterable<readonly Tensor[]>): Promise<void> {
  for await (const arrays of copied) releaseArrays(arrays, 'a generator')
}

/** Writes a search's choice into the arrays of the whole batch, at the search's first row. */
function writeChoice({ tokens, parents }: NextTokens, first: number, chosen: number[], allParents: number[]): void {
  tokens.forEach((token, i) => {
    chosen[first + i] = token
    if (parents) allParents[first + i] = first + parents[i]
  })
}

/**
 * For each row the index of its input, and for each input its first row. The rows are filled up to a power of two with
 * copies of the last.
 */
function rowsOf(searches: readonly Search[]): { inputOfRow: number[]; firstRow: number[] } {
  for (const { rows } of searches)
    checkSetting('the rows of a search', rows, Number.isInteger(rows) && rows > 0, 'a positive whole number')
  const inputOfRow = searches.flatMap((search, i) => Array.from({ length: search.rows }, () => i))
  const firstRow = searches.map((_, i) => inputOfRow.indexOf(i))
  while (inputOfRow.length < powerOfTwo(inputOfRow.length)) inputOfRow.push(searches.length - 1)
  return { inputOfRow, firstRow }
}

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n))

/** An input without padding at its end. What has the padding id may be EOS in a model that has one id for both. */
const withoutPadding = (input: readonly number[], { padId, eosIds }: SpecialIds): readonly number[] =>
  eosIds.includes(padId) ? input : input.slice(0, input.findLastIndex(id => id !== padId) + 1)

/**
 * Token ids [inputs, length], padded with `NO_TOKEN` to a multiple of a length. The inputs are filled up to a power of
 * two with copies of the last.
 */
export function padded(inputs: readonly (readonly number[])[], multiple = LENGTH_MULTIPLE): Tensor {
  const longest = Math.max(...inputs.map(input => input.length))
  const length = Math.max(1, Math.ceil(longest / multiple)) * multiple
  const rows = powerOfTwo(inputs.length)
  const ids = new Int32Array(rows * length).fill(NO_TOKEN)
  for (let row = 0; row < rows; row++) ids.set(inputs[Math.min(row, inputs.length - 1)], row * length)
  return fromHost(hostTensor('int32', [rows, length], ids))
}

const ints = (values: readonly number[]): Tensor =>
  fromHost(hostTensor('int32', [values.length], Int32Array.from(values)))

/** Generates greedily in one call; resolves to the tokens of each answer. For several calls, keep a `makeGenerator`. */
export async function generate(
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<(readonly number[])[]> {
  const answers = await makeGenerator(options)(
    params,
    inputs,
    inputs.map(() => greedySearch({ ...options, specialIds: specialIdsOf(options.config) })),
  )
  return answers.map(([{ tokens }]) => tokens)
}

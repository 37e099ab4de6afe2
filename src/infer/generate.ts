import { hostTensor } from '../base/host-tensor.js'
import { fromHost, hostView, releaseArrays } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { PAD_ID } from '../text/vocabulary.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { ForwardOptions, ModelParams } from '../model/types.js'
import { compileDecoding } from './compiled.js'
import { greedySearch, START_ID } from './search.js'
import type { Answer, NextTokens, Search } from './search.js'

export interface GenerateOptions {
  config: ModelConfig
  router: RouterConfig
  /** How many tokens are made at most, EOS among them. */
  maxNewTokens: number
  /** Whether the parameters become the generator's own, which then keeps one copy of them, packed for products: they can be used for nothing else. */
  release?: boolean
}

export interface RunOptions {
  /** Ends generation; the answers are what there is by then. */
  signal?: AbortSignal
  /** Hears after each token that the searches have gone on. */
  onStep?: () => void
}

/** Generates for a batch: an input's token ids (EOS among them, no padding) and the search for its answers, for each; returns each one's answers. */
export type Generator = (
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  searches: readonly Search[],
  options?: RunOptions,
) => Promise<(readonly Answer[])[]>

/** Lengths of inputs are rounded up to this, and rows to a power of two, so that few different shapes are compiled. */
const LENGTH_MULTIPLE = 16

/**
 * A generator for a model. The encoder runs once; then every step makes one token for all rows, until every search is over. Keep
 * it: it compiles once for each shape of a batch. An input's answers depend neither on the others in its batch nor on padding.
 */
export function makeGenerator({ config, router, maxNewTokens, release }: GenerateOptions): Generator {
  const options: ForwardOptions = { config, router, mode: 'eval' }
  const { prepare, start, encode, advance, reorder } = compileDecoding(options, maxNewTokens)

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
    const ids = padded(inputs)
    const { encoderBiases, selfBiases, cache: empty } = start(params, layout.inputOfRow.length, ids.shape[1])
    const encoded = encode(params, ids, ints(layout.inputOfRow), encoderBiases)
    let cache = empty
    let tokens = ints(layout.inputOfRow.map(() => START_ID))
    const open = new Set(searches)
    for (let step = 0; open.size > 0 && step < maxNewTokens && !signal?.aborted; step++) {
      const next = advance(
        params,
        encoded,
        selfBiases,
        cache,
        tokens,
        fromHost(hostTensor('int32', [], Int32Array.of(step))),
      )
      cache = next.cache
      const {
        data,
        shape: [, vocab],
      } = await hostView(next.logits)
      const logits = data as Float32Array
      const chosen = layout.inputOfRow.map(() => PAD_ID)
      const parents = layout.inputOfRow.map((_, row) => row)
      searches.forEach((search, i) => {
        if (!open.has(search)) return
        const first = layout.firstRow[i]
        const going = search.next(logits.subarray(first * vocab, (first + search.rows) * vocab))
        if (going) place(going, first, chosen, parents)
        else open.delete(search)
      })
      if (parents.some((parent, row) => parent !== row)) cache = reorder(cache, ints(parents))
      tokens = ints(chosen)
      onStep?.()
    }
    return searches.map(search => search.answers())
  }
}

async function takeOver(copied: AsyncIterable<readonly Tensor[]>): Promise<void> {
  for await (const arrays of copied) releaseArrays(arrays, 'a generator')
}

function place({ tokens, parents }: NextTokens, first: number, chosen: number[], allParents: number[]): void {
  tokens.forEach((token, i) => {
    chosen[first + i] = token
    if (parents) allParents[first + i] = first + parents[i]
  })
}

/** Which input each row belongs to, rows filled up with more of the last one, and each input's first row. */
function rowsOf(searches: readonly Search[]): { inputOfRow: number[]; firstRow: number[] } {
  const inputOfRow = searches.flatMap((search, i) => Array.from({ length: search.rows }, () => i))
  const firstRow = searches.map((_, i) => inputOfRow.indexOf(i))
  while (inputOfRow.length < powerOfTwo(inputOfRow.length)) inputOfRow.push(searches.length - 1)
  return { inputOfRow, firstRow }
}

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n))

/** Token ids [inputs, length], padded; inputs are filled up with copies of the last. */
function padded(inputs: readonly (readonly number[])[]): Tensor {
  const longest = Math.max(...inputs.map(input => input.length))
  const length = Math.max(1, Math.ceil(longest / LENGTH_MULTIPLE)) * LENGTH_MULTIPLE
  const rows = powerOfTwo(inputs.length)
  const ids = new Int32Array(rows * length).fill(PAD_ID)
  for (let row = 0; row < rows; row++) ids.set(inputs[Math.min(row, inputs.length - 1)], row * length)
  return fromHost(hostTensor('int32', [rows, length], ids))
}

const ints = (values: readonly number[]): Tensor =>
  fromHost(hostTensor('int32', [values.length], Int32Array.from(values)))

/** Greedy generation in one call: each input's tokens. To generate more than once keep a generator: see makeGenerator. */
export async function generate(
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<(readonly number[])[]> {
  const answers = await makeGenerator(options)(
    params,
    inputs,
    inputs.map(() => greedySearch(options)),
  )
  return answers.map(([{ tokens }]) => tokens)
}

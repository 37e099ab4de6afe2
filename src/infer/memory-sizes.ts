import type { ModelConfig } from '../model/config.js'
import type { MemorySizes } from './decode.js'
import { LENGTH_MULTIPLE } from './padded-inputs.js'
import { bucket } from './rows.js'
import type { Search } from './search.js'

/** The parts of a request that the size of its memory depends on. */
interface Sized {
  readonly inputs: readonly number[]
  readonly search: Pick<Search, 'rows'>
}

/**
 * A memory is made smaller when a fourth of its rows or of one of its lengths is enough. At a half, the next request
 * could make it grow again, and each change of size copies the memory.
 */
const SHRINKS_AT = 4

/**
 * The least number of positions for an answer's tokens. Attention computes all positions, also those that are not
 * filled yet: with 64, a step of 16 rows of the benchmark model took 14% more for answers of 32 tokens. Shorter
 * memories would be copied into longer ones soon.
 */
const LEAST_LENGTH = 16

/** The sizes of the memory for requests whose answers have at most `length` tokens. */
export const sizesOf = (requests: readonly Sized[], length: number): MemorySizes => ({
  rows: bucket(requests.reduce((sum, { search }) => sum + search.rows, 0)),
  inputLength: bucket(Math.max(...requests.map(({ inputs }) => inputs.length)), LENGTH_MULTIPLE),
  length: bucket(length, LEAST_LENGTH),
})

/** Whether a memory is large enough, and not so large that it should be made smaller. */
export const isFitting = (sizes: MemorySizes, needed: MemorySizes): boolean =>
  (['rows', 'inputLength', 'length'] as const).every(
    size => needed[size] <= sizes[size] && needed[size] * SHRINKS_AT > sizes[size],
  )

/** The bytes of a decoder's memory: float32 keys and values of each layer, of the inputs and of the answers. */
export const memoryBytes = ({ rows, inputLength, length }: MemorySizes, config: ModelConfig): number =>
  4 * rows * (inputLength + length) * 2 * config.numDecoderLayers * config.numHeads * config.headDim

/**
 * The bytes that the encoder's attention holds at once for one input: the position biases of all queries, float32
 * [heads, length, length], and of the queries that are computed together (by default all) the scores, their sum with
 * the biases and its softmax.
 */
export const attentionBytes = (
  length: number,
  { numHeads }: Pick<ModelConfig, 'numHeads'>,
  queries: number = length,
): number => 4 * numHeads * length * (length + 3 * queries)

import type { ModelConfig } from '../model/config.js'
import type { MemorySizes } from './decode.js'
import { LENGTH_MULTIPLE } from './padded-inputs.js'
import { bucket } from './rows.js'
import type { Search } from './search.js'

/** What the size of a request's memory depends on. */
interface Sized {
  readonly inputs: readonly number[]
  readonly search: Pick<Search, 'rows'>
}

/**
 * A memory is made smaller when a fourth of its rows or of a length is enough, not at a half, since it may soon grow.
 */
const SHRINKS_AT = 4

/** Fewer positions of answers would cost as much in each step, and the memory would soon be copied to grow. */
const LEAST_LENGTH = 64

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

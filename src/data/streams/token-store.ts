import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'

/** The arrays of a store. They are shared memory: a worker thread that is given them reads the same bytes. */
export interface StoredTokens {
  /** All tokens: the inputs of example 0, its targets, the inputs of example 1 ... */
  readonly ids: Int32Array
  /** `ends[2 * i]` is where the inputs of example i end in `ids`, `ends[2 * i + 1]` where its targets end. */
  readonly ends: Float64Array
}

/** Token examples in two flat arrays of shared memory: 4 bytes a token and 16 bytes an example, no object for each. */
export class TokenStore implements Dataset<TokenExample> {
  readonly length: number

  constructor(readonly stored: StoredTokens) {
    this.length = stored.ends.length / 2
  }

  /** The example's tokens, as views of the store: do not change them. */
  get(index: number): TokenExample {
    const { ids, ends } = this.stored
    const start = index === 0 ? 0 : ends[2 * index - 1]
    const middle = ends[2 * index]
    return { inputs: ids.subarray(start, middle), targets: ids.subarray(middle, ends[2 * index + 1]) }
  }
}

/** Copies token examples, one after the other, into a store. */
export class TokenStoreBuilder {
  private ids = sharedInts(1 << 16)
  private ends = sharedDoubles(1 << 10)
  private tokens = 0
  private examples = 0

  add({ inputs, targets }: TokenExample): void {
    const end = this.tokens + inputs.length + targets.length
    if (end > this.ids.length) this.ids = grown(this.ids, sharedInts, end)
    if (2 * this.examples + 2 > this.ends.length) this.ends = grown(this.ends, sharedDoubles, 2 * this.examples + 2)
    this.ids.set(inputs, this.tokens)
    this.ids.set(targets, this.tokens + inputs.length)
    this.ends[2 * this.examples] = this.tokens + inputs.length
    this.ends[2 * this.examples + 1] = end
    this.tokens = end
    this.examples++
  }

  finish(): TokenStore {
    return new TokenStore({
      ids: this.ids.subarray(0, this.tokens),
      ends: this.ends.subarray(0, 2 * this.examples),
    })
  }
}

const sharedInts = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length))
const sharedDoubles = (length: number): Float64Array => new Float64Array(new SharedArrayBuffer(8 * length))

/** A copy with room for at least `length` elements. */
function grown<A extends Int32Array | Float64Array>(array: A, make: (length: number) => A, length: number): A {
  const larger = make(Math.max(length, 2 * array.length))
  larger.set(array)
  return larger
}

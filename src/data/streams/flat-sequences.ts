import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'

/**
 * Token sequences in two flat arrays of shared memory: 4 bytes a token and 8 bytes a sequence, no object for each. A
 * worker thread that is given the arrays reads the same bytes. Each example has the same number of sequences.
 */
export class FlatSequences {
  /** All tokens: the sequences of example 0, then those of example 1 ... */
  private ids = sharedInts(1 << 12)
  /** Where each sequence ends in `ids`. */
  private ends = sharedDoubles(1 << 8)
  private tokens = 0
  private sequences = 0

  /** `each` is the number of sequences of an example. `stored` are the arrays of another thread's object. */
  constructor(
    private readonly each: number,
    stored?: StoredSequences,
  ) {
    if (stored === undefined) return
    this.ids = stored.ids
    this.ends = stored.ends
    this.tokens = stored.ids.length
    this.sequences = stored.ends.length
  }

  /** The number of examples. */
  get length(): number {
    return this.sequences / this.each
  }

  /** The arrays, without the room for more. They can be sent to a worker thread, which shares them. */
  get stored(): StoredSequences {
    return { ids: this.ids.subarray(0, this.tokens), ends: this.ends.subarray(0, this.sequences) }
  }

  /** A 32-bit hash of all sequences. */
  hash(): number {
    const { ids, ends } = this.stored
    let hash = hashStep(HASH_SEED, this.length)
    for (const end of ends) hash = hashStep(hash, end)
    for (const id of ids) hash = hashStep(hash, id)
    return mix32(hash)
  }

  /** Appends an example. */
  add(example: readonly Int32Array[]): void {
    for (const sequence of example) {
      const end = this.tokens + sequence.length
      if (end > this.ids.length) this.ids = grown(this.ids, sharedInts, end)
      if (this.sequences === this.ends.length) this.ends = grown(this.ends, sharedDoubles, this.sequences + 1)
      this.ids.set(sequence, this.tokens)
      this.ends[this.sequences++] = end
      this.tokens = end
    }
  }

  /** An example's sequences, as views: do not change them. */
  get(index: number): Int32Array[] {
    const first = index * this.each
    return Array.from({ length: this.each }, (_, s) =>
      this.ids.subarray(first + s === 0 ? 0 : this.ends[first + s - 1], this.ends[first + s]),
    )
  }
}

/** The arrays of `FlatSequences`. */
export interface StoredSequences {
  readonly ids: Int32Array
  readonly ends: Float64Array
}

const sharedInts = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length))
const sharedDoubles = (length: number): Float64Array => new Float64Array(new SharedArrayBuffer(8 * length))

/** A copy with room for at least `length` elements. */
function grown<A extends Int32Array | Float64Array>(array: A, make: (length: number) => A, length: number): A {
  const larger = make(Math.max(length, 2 * array.length))
  larger.set(array)
  return larger
}

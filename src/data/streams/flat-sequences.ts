import { lengthsIn, startOf } from './sequences.js'
import type { Sequences, SequencesInMemory } from './sequences.js'

/**
 * Token sequences in two flat arrays of shared memory: 4 bytes a token and 8 bytes a sequence, no object for each. A
 * worker thread that is given the arrays reads the same bytes. Each example has the same number of sequences.
 */
export class FlatSequences implements Sequences {
  /** All tokens: the sequences of example 0, then those of example 1 ... */
  private ids = sharedInts(1 << 12)
  /** Where each sequence ends in `ids`. */
  private ends = sharedDoubles(1 << 8)
  private tokens = 0
  private sequences = 0

  /** `each` is the number of sequences of an example. `stored` are the arrays of another thread's object. */
  constructor(
    private readonly each: number,
    stored?: SequencesInMemory,
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
  get shared(): SequencesInMemory {
    const { ids, ends, each } = this
    return { ids: ids.subarray(0, this.tokens), ends: ends.subarray(0, this.sequences), each }
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
    const { each, ends, ids } = this
    const sequences: Int32Array[] = []
    for (let s = index * each; s < (index + 1) * each; s++) sequences.push(ids.subarray(startOf(ends, s), ends[s]))
    return sequences
  }

  lengths(index: number): number[] {
    return lengthsIn(this.shared, index)
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

import { systemAdvice } from '../../base/system-errors.js'
import { noticeWork } from '../long-work.js'
import { FlatSequences } from '../streams/flat-sequences.js'
import type { Sequences, SharedSequences } from '../streams/sequences.js'

/**
 * The sequences of an entry of the cache. If its file cannot be read any more (a disk error, or another program has cut
 * it off), that is said once, and each example is encoded when it is first asked for, and kept in memory.
 */
export class ReadableSequences implements Sequences {
  /** After a failure: the examples that have been encoded, and the index of each in them. */
  private encoded: { readonly sequences: FlatSequences; readonly places: Map<number, number> } | undefined

  /** `encode` gives an example's sequences as the entry has them. `name` names the data in the notice. */
  constructor(
    private readonly stored: Sequences,
    private readonly encode: (index: number) => Int32Array[],
    private readonly name: string,
  ) {}

  get length(): number {
    return this.stored.length
  }

  get shared(): SharedSequences {
    return this.stored.shared
  }

  lengths(index: number): number[] {
    return this.stored.lengths(index)
  }

  get(index: number): Int32Array[] {
    if (this.encoded !== undefined) return this.encodeOnce(index, this.encoded)
    try {
      return this.stored.get(index)
    } catch (error) {
      this.encoded = { sequences: new FlatSequences(this.stored.shared.each), places: new Map() }
      noticeWork(
        `${this.name}: the encoded data in the cache cannot be read (${systemAdvice(error as Error)}); from now on, examples are encoded when they are needed`,
      )
      return this.encodeOnce(index, this.encoded)
    }
  }

  private encodeOnce(index: number, { sequences, places }: NonNullable<typeof this.encoded>): Int32Array[] {
    const place = places.get(index)
    if (place !== undefined) return sequences.get(place)
    const example = this.encode(index)
    places.set(index, sequences.length)
    sequences.add(example)
    return example
  }
}

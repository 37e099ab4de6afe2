import { systemAdvice } from '../../base/system-errors.js'
import { noticeWork } from '../long-work.js'
import type { Sequences, SharedSequences } from '../streams/sequences.js'

/**
 * The sequences of an entry of the cache. If its file cannot be read any more (a disk error, or another program has cut
 * it off), that is said once, and each example is encoded when it is asked for.
 */
export class ReadableSequences implements Sequences {
  private isReadable = true

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
    if (!this.isReadable) return this.encode(index)
    try {
      return this.stored.get(index)
    } catch (error) {
      this.isReadable = false
      noticeWork(
        `${this.name}: the encoded data in the cache cannot be read (${systemAdvice(error as Error)}); from now on, examples are encoded when they are needed`,
      )
      return this.encode(index)
    }
  }
}

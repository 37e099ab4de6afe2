import { check } from '../../base/errors.js'
import { PhiloxStream } from './philox.js'
import { RandomDataset } from './random-dataset.js'

export interface ShuffleOptions {
  /** The number of examples; Infinity for an endless dataset. */
  readonly length: number
  /** `buffer_size`: an example can move forward by fewer places than this, and back by any number. */
  readonly bufferSize: number
  readonly seed: number | bigint
  /** The value given to `tf.random.set_seed`, if it was called. */
  readonly graphSeed?: number
  /** Which iteration over the dataset, from 0. Default: 0. */
  readonly epoch?: number
  /** Whether each epoch has an order of its own (`reshuffle_each_iteration`). Default: true. */
  readonly reshuffle?: boolean
}

/** How many random words are made at a time. */
const WORDS = 4096

/**
 * The order of tf.data's `shuffle(buffer_size, seed)`. The buffer is a ring: output t is the content of a random slot
 * of the `bufferSize` slots from t on; the content of slot t moves there, and slot t is filled with the next example.
 *
 * Outputs in order cost one step each. A jump to any output rebuilds the ring by going through the steps before it in
 * reverse: each step fills one slot, so that about bufferSize * (2 + 2 ln bufferSize) of them determine all slots,
 * wherever the output is. Memory: 16 bytes for each slot.
 */
export class ShuffleOrder {
  private readonly length: number
  private readonly slots: number
  private readonly stream: PhiloxStream
  /** The indices of the examples in the buffer, before step `step`. */
  private readonly ring: Float64Array
  private step = 0
  /** `step` modulo the number of slots. */
  private start = 0
  /** The latest output, so that a repeated question costs nothing. */
  private latest = { output: -1, index: -1 }
  private readonly words = new Uint32Array(WORDS)
  private firstWord = -WORDS

  constructor({ length, bufferSize, seed, graphSeed, epoch = 0, reshuffle = true }: ShuffleOptions) {
    check(
      Number.isInteger(bufferSize) && bufferSize >= 1,
      () => `a shuffle buffer needs a whole size of 1 or more, not ${bufferSize}`,
    )
    this.length = length
    this.slots = Math.min(bufferSize, length)
    this.ring = Float64Array.from({ length: this.slots }, (_, slot) => slot)
    const seeds = new RandomDataset(seed, graphSeed)
    this.stream = reshuffle
      ? new PhiloxStream([seeds.get(2 * epoch), 0], [0, 0, seeds.get(2 * epoch + 1), 0])
      : seeds.stream
  }

  /** The index of the example that comes out at place `output`. */
  get(output: number): number {
    if (output === this.latest.output) return this.latest.index
    if (output < this.step || output - this.step > 2 * this.slots) this.jump(output)
    let index = this.latest.index
    while (this.step <= output) index = this.next()
    this.latest = { output, index }
    return index
  }

  private next(): number {
    const { start } = this
    const slot = this.slotAt(this.step, start)
    const index = this.ring[slot]
    this.ring[slot] = this.ring[start]
    this.ring[start] = this.step + this.slots
    this.step++
    this.start = start + 1 === this.slots ? 0 : start + 1
    return index
  }

  /**
   * The random slot of a step. `start` is the step modulo the number of slots. Near the end of a finite dataset the
   * buffer is no longer full.
   */
  private slotAt(step: number, start: number): number {
    if (step < this.firstWord || step >= this.firstWord + WORDS) {
      this.firstWord = step - (step % WORDS)
      this.stream.fill(this.words, WORDS, this.firstWord / 4)
    }
    const full = Math.min(this.slots, this.length - step) >>> 0
    const slot = start + (this.words[step - this.firstWord] % full)
    return slot < this.slots ? slot : slot - this.slots
  }

  /** Sets the ring to what it holds before a step. */
  private jump(step: number): void {
    // wanted[slot]: which slot of the final ring has the content that `slot` has at the step looked at, or -1.
    const wanted = Int32Array.from(this.ring, (_, slot) => slot)
    let missing = this.slots
    let start = step % this.slots
    for (let earlier = step - 1; earlier >= 0 && missing > 0; earlier--) {
      start = (start === 0 ? this.slots : start) - 1
      const slot = this.slotAt(earlier, start)
      // Read backwards: slot `start` was filled with the next example, and before that its content moved to `slot`.
      if (wanted[start] >= 0) {
        this.ring[wanted[start]] = earlier + this.slots
        missing--
      }
      wanted[start] = -1
      if (slot !== start) {
        wanted[start] = wanted[slot]
        wanted[slot] = -1
      }
    }
    // At the beginning slot k holds example k.
    if (missing > 0) wanted.forEach((finalSlot, slot) => finalSlot >= 0 && (this.ring[finalSlot] = slot))
    this.step = step
    this.start = step % this.slots
    this.latest = { output: -1, index: -1 }
  }
}

import { ShapeError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'

/** Items of a block. The sum before each block is stored; within a block counts are added one by one. */
const BLOCK = 64

/** An endless dataset is searched for this many items before it is said to give nothing. */
const PATIENCE = 2 ** 24

/**
 * Prefix sums over a dataset's items: how many outputs come before an item, and which item gives output k. It is what
 * gives random access to a stage that makes several outputs, or none, of an item.
 *
 * It grows as far as it is asked, in one pass over the items, each counted once. If the items repeat, one period is
 * counted and serves all. Memory: the bytes of `Counts` for each counted item (4, or 1 for Uint8Array) and 1/8 byte.
 */
export class GrowingSums {
  private counts: Uint32Array | Uint8Array
  /** The sum before each block of counted items. */
  private blockSums = new Float64Array(1)
  private counted = 0
  private sum = 0
  /** The item of the latest search, from which neighbouring searches go on. */
  private latest = { item: 0, before: 0 }

  /**
   * `count(item)` is the number of outputs of an item. `items` tells how many items there are, and whether they repeat,
   * at any time.
   */
  constructor(
    private readonly items: Pick<Dataset<unknown>, 'length' | 'period'>,
    private readonly count: (item: number) => number,
    private readonly Counts: typeof Uint32Array | typeof Uint8Array = Uint32Array,
  ) {
    this.counts = new Counts(BLOCK)
  }

  /** All outputs of all items; Infinity for endless items, 0 if no item of a period gives any. */
  get total(): number {
    const { length } = this.items
    if (length !== Infinity) return this.before(length)
    this.grow(Infinity, 1)
    return this.sum === 0 ? 0 : Infinity
  }

  /** The outputs of one period, or undefined while the period is not known or not yet counted. */
  get period(): number | undefined {
    const { period } = this.items
    return period !== undefined && period <= this.counted ? this.sumBefore(period) : undefined
  }

  /** The number of outputs of the items before `item`. */
  before(item: number): number {
    this.grow(item, Infinity)
    if (item <= this.counted) return this.sumBefore(item)
    const period = this.items.period!
    return Math.floor(item / period) * this.sumBefore(period) + this.sumBefore(item % period)
  }

  /** The number of outputs of an item that has been counted. */
  countOf(item: number): number {
    return this.counts[item]
  }

  /** The item that gives output `output`, and the number of outputs before that item. */
  find(output: number): { item: number; before: number } {
    this.grow(Infinity, output + 1)
    if (output < this.sum) return this.findCounted(output)
    const period = this.items.period
    const each = this.period
    if (period === undefined || each === undefined || each === 0 || output >= this.total)
      throw new ShapeError(`there is no example ${output}: the dataset has ${this.total}`)
    const turn = Math.floor(output / each)
    const found = this.findCounted(output - turn * each)
    return { item: found.item + turn * period, before: found.before + turn * each }
  }

  /** Counts items up to `item`, or until they give `outputs` outputs, or a little beyond the first period. */
  private grow(item: number, outputs: number): void {
    const { length } = this.items
    let without = 0
    while (this.counted < item && this.sum < outputs && this.counted < length) {
      if (this.counted % BLOCK === 0) {
        const { period } = this.items
        if (period !== undefined && this.counted >= period) return
        this.beginBlock()
      }
      const count = this.count(this.counted)
      without = count === 0 ? without + 1 : 0
      if (without >= PATIENCE && length === Infinity)
        throw new ShapeError(`${PATIENCE} examples in a row give no output: an endless dataset may give none at all`)
      this.counts[this.counted++] = count
      this.sum += count
    }
  }

  private beginBlock(): void {
    if (this.counted === this.counts.length) {
      const counts = new this.Counts(2 * this.counted)
      counts.set(this.counts)
      this.counts = counts
    }
    const block = this.counted / BLOCK
    if (block === this.blockSums.length) {
      const sums = new Float64Array(2 * block)
      sums.set(this.blockSums)
      this.blockSums = sums
    }
    this.blockSums[block] = this.sum
  }

  private sumBefore(item: number): number {
    if (item === this.counted) return this.sum
    const first = item - (item % BLOCK)
    let sum = this.blockSums[first / BLOCK]
    for (let i = first; i < item; i++) sum += this.counts[i]
    return sum
  }

  private findCounted(output: number): { item: number; before: number } {
    let { item, before } = this.latest
    if (output < before || output >= before + 2 * BLOCK) {
      const blocks = Math.ceil(this.counted / BLOCK)
      let low = 0
      let high = blocks
      while (high - low > 1) {
        const middle = (low + high) >>> 1
        if (this.blockSums[middle] <= output) low = middle
        else high = middle
      }
      item = low * BLOCK
      before = this.blockSums[low]
    }
    while (before + this.counts[item] <= output) before += this.counts[item++]
    this.latest = { item, before }
    return this.latest
  }
}

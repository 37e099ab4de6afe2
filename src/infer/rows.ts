/** Sizes of memories grow by powers of two, so that few different ones are compiled and memory is copied rarely. */
export const bucket = (n: number, least = 1): number => Math.max(least, 2 ** Math.ceil(Math.log2(Math.max(n, 1))))

/** Which rows of the decoder's memory are taken. A request takes rows that lie side by side. */
export class Rows {
  private taken: boolean[] = []
  private used = 0

  get numTaken(): number {
    return this.used
  }

  /**
   * Takes the first `count` free rows below `limit` that lie side by side. Returns the first; null if there are none.
   */
  take(count: number, limit: number): number | null {
    let free = 0
    for (let row = 0; row < limit; row++) {
      free = this.taken[row] ? 0 : free + 1
      if (free < count) continue
      const first = row - count + 1
      for (let i = first; i <= row; i++) this.taken[i] = true
      this.used += count
      return first
    }
    return null
  }

  free(first: number, count: number): void {
    for (let row = first; row < first + count; row++) this.taken[row] = false
    this.used -= count
  }

  clear(): void {
    this.taken = []
    this.used = 0
  }
}

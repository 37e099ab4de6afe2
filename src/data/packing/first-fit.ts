/**
 * First-fit packing: each example goes into the first row that has room for all of its features. Rows are opened one by
 * one, each when an example fits into none before it.
 */
export class FirstFit {
  /** The room left in each open row, in tokens: [rows, features]. */
  private readonly room: Int32Array
  private opened = 0

  /**
   * `capacities` are the lengths of a row's features and `rows` is the greatest number of rows. Only the `window` rows
   * that were opened last are tried.
   */
  constructor(
    private readonly capacities: readonly number[],
    private readonly rows: number,
    private readonly window = Infinity,
  ) {
    this.room = new Int32Array(rows * capacities.length)
  }

  /** The row that an example of these sizes goes into, which it now fills; -1 if no row has room. */
  place(sizes: readonly number[]): number {
    for (let row = Math.max(0, this.opened - this.window); row < this.opened; row++) {
      if (this.fits(row, sizes)) return this.take(row, sizes)
    }
    if (this.opened === this.rows) return -1
    this.room.set(this.capacities, this.opened * this.capacities.length)
    return this.take(this.opened++, sizes)
  }

  /** Whether every row is open and has a feature without room. */
  get full(): boolean {
    if (this.opened < this.rows) return false
    const features = this.capacities.length
    for (let row = 0; row < this.rows; row++) {
      if (this.room.subarray(row * features, (row + 1) * features).every(room => room > 0)) return false
    }
    return true
  }

  private fits(row: number, sizes: readonly number[]): boolean {
    const features = sizes.length
    for (let f = 0; f < features; f++) if (this.room[row * features + f] < sizes[f]) return false
    return true
  }

  private take(row: number, sizes: readonly number[]): number {
    sizes.forEach((size, f) => {
      this.room[row * sizes.length + f] -= size
    })
    return row
  }
}

/** A range of bytes in one of a data set's files. */
export interface RecordPlace {
  readonly file: number
  readonly start: number
  readonly length: number
}

/**
 * Where each record of some files begins and how long it is, in typed arrays: 12 bytes a record. Records are added in
 * order, file by file.
 */
export class RecordIndex {
  private starts = new Float64Array(1024)
  private lengths = new Uint32Array(1024)
  private count = 0
  /** The number of records up to and including each file. */
  private readonly ends: number[] = []

  get length(): number {
    return this.count
  }

  add(start: number, length: number): void {
    if (this.count === this.starts.length) {
      this.starts = grown(this.starts, new Float64Array(2 * this.count))
      this.lengths = grown(this.lengths, new Uint32Array(2 * this.count))
    }
    this.starts[this.count] = start
    this.lengths[this.count] = length
    this.count++
  }

  /** Ends the current file: records that are added later belong to the next one. */
  endFile(): void {
    this.ends.push(this.count)
  }

  /** The place of a record. Throws a RangeError if there is no such record. */
  place(index: number): RecordPlace {
    if (!Number.isInteger(index) || index < 0 || index >= this.count)
      throw new RangeError(`there is no example ${index}: the data has ${this.count}`)
    return { file: this.fileOf(index), start: this.starts[index], length: this.lengths[index] }
  }

  /** The first file that ends after the record, by binary search. */
  private fileOf(index: number): number {
    let low = 0
    let high = this.ends.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.ends[middle] > index) high = middle
      else low = middle + 1
    }
    return low
  }
}

function grown<A extends Float64Array | Uint32Array>(from: A, to: A): A {
  to.set(from)
  return to
}

/**
 * How many of the most probable tokens of each row the decoder's program finds, which costs about as much as to find
 * one. A search can make one less impossible and still choose by the rest: T5's model has 28 ids without a token, and
 * the unknown token.
 */
export const NUM_BEST = 32

/** The most probable tokens of some rows, best first; of a tie, the one with the lowest id comes first. */
export interface BestTokens {
  /** How many there are for each row: `NUM_BEST`, or the whole vocabulary if that is smaller. */
  readonly count: number
  readonly ids: Int32Array // [rows * count]
  /** Their logits. The first one of a row is NaN if any logit of the row is. */
  readonly scores: Float32Array // [rows * count]
}

/** What one step tells about the next token of each row: its most probable tokens, and all logits of some rows. */
export class RowScores {
  constructor(
    private readonly best: BestTokens,
    private readonly logits: Float32Array, // [asked * vocab]
    /** The rows whose logits were read. */
    private readonly asked: readonly number[],
    private readonly vocab: number,
  ) {}

  /** The most probable tokens of the rows from `first` to `end`. */
  bestOf(first: number, end: number): BestTokens {
    const { count, ids, scores } = this.best
    return {
      count,
      ids: ids.subarray(first * count, end * count),
      scores: scores.subarray(first * count, end * count),
    }
  }

  /** The logits of the rows from `first` to `end`, if they were asked for one after the other; else null. */
  logitsOf(first: number, end: number): Float32Array | null {
    const at = this.asked.indexOf(first)
    return at < 0 ? null : this.logits.subarray(at * this.vocab, (at + end - first) * this.vocab)
  }
}

import type { Answer, NextTokens, Search, StepExperts } from './search.js'

/** Searches of one row each as one search: its answers are theirs, in their order. It ends when all have ended. */
export const severalSearches = (searches: readonly Search[]): Search =>
  searches.length === 1 ? searches[0] : new SeveralSearches(searches)

class SeveralSearches implements Search {
  readonly rows: number
  readonly answersGrow = true
  readonly maxNewTokens: number | undefined
  /** The last token of each search. The row of a search that has ended gets it again, without an effect. */
  private readonly last: number[]
  private readonly hasEnded: boolean[]

  constructor(private readonly searches: readonly Search[]) {
    this.rows = searches.length
    this.maxNewTokens = searches.some(search => search.maxNewTokens === undefined)
      ? undefined
      : Math.max(...searches.map(search => search.maxNewTokens!))
    this.last = searches.map(() => 0)
    this.hasEnded = searches.map(() => false)
  }

  next(logits: Float32Array, experts?: StepExperts): NextTokens | null {
    const vocab = logits.length / this.rows
    this.searches.forEach((search, row) => {
      if (this.hasEnded[row]) return
      const next = search.next(logits.subarray(row * vocab, (row + 1) * vocab), experts && (() => experts(row)))
      if (next === null) this.hasEnded[row] = true
      else this.last[row] = next.tokens[0]
    })
    return this.hasEnded.every(Boolean) ? null : { tokens: [...this.last], parents: null }
  }

  answers(): Answer[] {
    return this.searches.map(search => search.answers()[0])
  }
}

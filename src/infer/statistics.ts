import type { PagingStatistics } from './paged-experts.js'

/** The state of a generator at one moment, and counts since it was made. */
export interface GeneratorStatistics {
  /** Requests that have rows of the decoder's memory or are being encoded in slices, and requests that wait. */
  readonly running: number
  readonly waiting: number
  /** Bytes of the decoder's memory: in use, and the limit. */
  readonly memoryBytes: number
  readonly maxMemoryBytes: number
  /** Steps of the decoder. */
  readonly steps: number
  /**
   * How many steps read and generated how many tokens together: the i-th number counts steps of more than 2^(i-1) and
   * at most 2^i tokens.
   */
  readonly stepTokens: readonly number[]
  readonly inputTokens: number
  /** Tokens that searches have chosen, one for each row and step. */
  readonly generatedTokens: number
  /** How many tokens each expert got, for each sparse layer of the decoder. */
  readonly expertTokens: readonly (readonly number[])[]
  /**
   * Tokens of inputs that met no expert because its capacity was full, counted for each sparse layer of the encoder.
   */
  readonly droppedTokens: number
  /** What reading experts has cost, if they are paged. */
  readonly paging?: PagingStatistics
}

/** Counts what a scheduler has done. */
export class SchedulerCounts {
  steps = 0
  inputTokens = 0
  generatedTokens = 0
  droppedTokens = 0
  readonly expertTokens: number[][]
  readonly stepTokens: number[] = []
  /** Tokens until the last step. */
  private before = 0

  /** `sparseLayers`: how many the decoder has. */
  constructor(sparseLayers: number, numExperts: number) {
    this.expertTokens = Array.from({ length: sparseLayers }, () => new Array<number>(numExperts).fill(0))
  }

  /** Begins all counts again from 0. */
  clear(): void {
    this.steps = this.inputTokens = this.generatedTokens = this.droppedTokens = this.before = 0
    this.stepTokens.length = 0
    for (const ofLayer of this.expertTokens) ofLayer.fill(0)
  }

  /** Counts a step by the tokens that it read and generated. */
  endStep(): void {
    const all = this.inputTokens + this.generatedTokens
    const tokens = all - this.before
    this.before = all
    if (tokens === 0) return
    const size = 32 - Math.clz32(tokens - 1)
    while (this.stepTokens.length <= size) this.stepTokens.push(0)
    this.stepTokens[size]++
  }
}

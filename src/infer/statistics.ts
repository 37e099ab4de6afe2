/** The state of a generator at one moment, and counts since it was made. */
export interface GeneratorStatistics {
  /** Requests that have rows of the decoder's memory, and requests that wait for rows. */
  readonly running: number
  readonly waiting: number
  /** Bytes of the decoder's memory: in use, and the limit. */
  readonly memoryBytes: number
  readonly maxMemoryBytes: number
  /** Steps of the decoder. */
  readonly steps: number
  readonly inputTokens: number
  /** Tokens that searches have chosen, one for each row and step. */
  readonly generatedTokens: number
  /** How many tokens each expert got, for each sparse layer of the decoder. */
  readonly expertTokens: readonly (readonly number[])[]
  /**
   * Tokens of inputs that met no expert because its capacity was full, counted for each sparse layer of the encoder.
   */
  readonly droppedTokens: number
}

/** Counts what a scheduler has done. */
export class SchedulerCounts {
  steps = 0
  inputTokens = 0
  generatedTokens = 0
  droppedTokens = 0
  readonly expertTokens: number[][]

  /** `sparseLayers`: how many the decoder has. */
  constructor(sparseLayers: number, numExperts: number) {
    this.expertTokens = Array.from({ length: sparseLayers }, () => new Array<number>(numExperts).fill(0))
  }
}

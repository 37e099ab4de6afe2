import { defaultEngine } from '../engine/api/engine.js'

/** What one step has processed. */
export interface Work {
  readonly examples: number
  /** Tokens that are not padding, of inputs and targets. */
  readonly tokens: number
  /** The seconds that the step waited for its batch. */
  readonly secondsWaited: number
}

const secondsWithoutCompilation = (): number => performance.now() / 1000 - defaultEngine().compiling.seconds

/**
 * Measures a run's speed over its last steps. The time in which programs are compiled does not count, in steps and in
 * validations. The first step is left out, since it includes tracing.
 */
export class Pace {
  private readonly ends: (Work & { at: number })[]
  private steps = 0
  /** Seconds between steps that are not counted: validations and the like. */
  private paused = 0
  /** The seconds of the validations so far, and the number of steps before the last one. */
  private readonly validations = { seconds: 0, steps: 0 }

  constructor(
    private readonly now: () => number = secondsWithoutCompilation,
    private readonly window = 100,
  ) {
    this.ends = [{ at: now(), examples: 0, tokens: 0, secondsWaited: 0 }]
  }

  /** Records the end of a step. */
  add(work: Work): void {
    this.ends.push({ ...work, at: this.now() - this.paused })
    this.steps++
    // The second step removes the start time of the first step, so that the first is no longer measured.
    if (this.steps === 2 || this.ends.length > this.window + 1) this.ends.shift()
  }

  /** Runs something that is not a step: its time does not count. */
  async pause<T>(run: () => Promise<T>): Promise<T> {
    const start = this.now()
    try {
      return await run()
    } finally {
      this.paused += this.now() - start
    }
  }

  /** Runs a validation. Its time does not count as that of a step, but belongs to the time that is left. */
  async validate<T>(run: () => Promise<T>): Promise<T> {
    const before = this.paused
    const result = await this.pause(run)
    this.validations.seconds += this.paused - before
    this.validations.steps = this.steps
    return result
  }

  /** Whether a step after the first was measured. Until then, the figures include tracing. */
  get isMeasured(): boolean {
    return this.steps > 1
  }

  private get seconds(): number {
    return this.ends[this.ends.length - 1].at - this.ends[0].at
  }

  private sumOf(what: keyof Work): number {
    return this.ends.slice(1).reduce((sum, end) => sum + end[what], 0)
  }

  get examplesPerSecond(): number {
    return this.sumOf('examples') / this.seconds
  }

  get tokensPerSecond(): number {
    return this.sumOf('tokens') / this.seconds
  }

  get stepsPerSecond(): number {
    return (this.ends.length - 1) / this.seconds
  }

  /** The share of the time in which training waited for data. */
  get shareWaited(): number {
    return this.sumOf('secondsWaited') / this.seconds
  }

  /** The seconds that this many more steps will take, with validations among them as often as so far. */
  secondsFor(steps: number): number {
    const { seconds, steps: before } = this.validations
    return steps / this.stepsPerSecond + (before > 0 ? (seconds / before) * steps : 0)
  }
}

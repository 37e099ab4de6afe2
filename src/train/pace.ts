/** Measures a run's speed over its last steps. The first step is left out, since it includes compilation. */
export class Pace {
  private readonly ends: { at: number; examples: number }[]
  private steps = 0

  constructor(
    private readonly now: () => number = () => performance.now() / 1000,
    private readonly window = 100,
  ) {
    this.ends = [{ at: now(), examples: 0 }]
  }

  /** Records the end of a step. */
  add(examples: number): void {
    this.ends.push({ at: this.now(), examples })
    this.steps++
    // The second step removes the start time of the first step, so that the first is no longer measured.
    if (this.steps === 2 || this.ends.length > this.window + 1) this.ends.shift()
  }

  private get seconds(): number {
    return this.ends[this.ends.length - 1].at - this.ends[0].at
  }

  get examplesPerSecond(): number {
    return this.ends.slice(1).reduce((sum, end) => sum + end.examples, 0) / this.seconds
  }

  /** The seconds that this many more steps will take. */
  secondsFor(steps: number): number {
    return (steps * this.seconds) / (this.ends.length - 1)
  }
}

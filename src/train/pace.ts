/** How fast a run goes, over its last steps: the first ones, which compile, are soon forgotten. */
export class Pace {
  private readonly ends: { at: number; examples: number }[]
  private steps = 0

  constructor(
    private readonly now: () => number = () => performance.now() / 1000,
    private readonly window = 100,
  ) {
    this.ends = [{ at: now(), examples: 0 }]
  }

  /** A step has ended. */
  add(examples: number): void {
    this.ends.push({ at: this.now(), examples })
    this.steps++
    // Once there is a second step, the first one's time is left out.
    if (this.steps === 2 || this.ends.length > this.window + 1) this.ends.shift()
  }

  private get seconds(): number {
    return this.ends[this.ends.length - 1].at - this.ends[0].at
  }

  get examplesPerSecond(): number {
    return this.ends.slice(1).reduce((sum, end) => sum + end.examples, 0) / this.seconds
  }

  /** Seconds until some more steps are done. */
  secondsFor(steps: number): number {
    return (steps * this.seconds) / (this.ends.length - 1)
  }
}

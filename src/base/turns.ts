/** Lets a limited number of calls run at once. Further ones wait for their turn, in order. */
export class Turns {
  private running = 0
  private readonly waiting: (() => void)[] = []

  /** `most`: how many calls run at once. */
  constructor(private readonly most: number) {}

  /** The result of `call`, which begins when it is its turn. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.running < this.most) this.running++
    else await new Promise<void>(resolve => this.waiting.push(resolve))
    try {
      return await call()
    } finally {
      const next = this.waiting.shift()
      if (next) next()
      else this.running--
    }
  }
}

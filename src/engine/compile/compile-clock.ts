/** Measures how long programs are compiled, so that displays can say it, and speeds can leave it out. */
export class CompileClock {
  private running = 0
  /** When the compilations that run now began. */
  private since = 0
  private past = 0
  private readonly listeners = new Set<() => void>()

  constructor(private readonly now: () => number = () => performance.now() / 1000) {}

  /** Counts a compilation until it ends, however it ends. */
  count<T>(compilation: Promise<T>): Promise<T> {
    if (this.running++ === 0) this.begin()
    const end = (): void => {
      if (--this.running === 0) this.end()
    }
    compilation.then(end, end)
    return compilation
  }

  /** Whether a program is being compiled now. */
  get isRunning(): boolean {
    return this.running > 0
  }

  /** The seconds, so far, in which at least one program was being compiled. */
  get seconds(): number {
    return this.past + (this.isRunning ? this.now() - this.since : 0)
  }

  /** Calls `listener` whenever `isRunning` has changed. Returns how to end that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private begin(): void {
    this.since = this.now()
    this.tell()
  }

  private end(): void {
    this.past += this.now() - this.since
    this.tell()
  }

  private tell(): void {
    for (const listener of this.listeners) listener()
  }
}

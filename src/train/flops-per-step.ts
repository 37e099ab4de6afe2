/**
 * Counts the operations of steps whose batches may have several sizes. Those of a size are known when it is traced.
 */
export class FlopsPerStep {
  private readonly bySize = new Map<string, { flops: number; steps: number }>()
  private current = { flops: 0, steps: 0 }

  /** Begins a step with a batch of this size. */
  begin(size: string): void {
    this.current = this.bySize.get(size) ?? { flops: 0, steps: 0 }
    this.bySize.set(size, this.current)
    this.current.steps++
  }

  /** Adds the operations of a program of the current step, which was traced for its size. */
  trace(flops: number): void {
    this.current.flops += flops
  }

  /** The mean of all steps. */
  get mean(): number {
    let [flops, steps] = [0, 0]
    for (const size of this.bySize.values()) {
      flops += size.flops * size.steps
      steps += size.steps
    }
    return steps === 0 ? 0 : flops / steps
  }
}

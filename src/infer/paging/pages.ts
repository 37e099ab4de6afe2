/** What paging needs to know of a sparse layer's experts, which are called a stack: a part of `ExpertStack`. */
export interface StackShape {
  /** `encoder/layers_1/mlp/expert` */
  readonly path: string
  readonly numExperts: number
  /** Bytes of a page: all kernels of one expert, with their scales if they are quantized. */
  readonly bytes: number
}

/**
 * The pages of a model, numbered: the experts of the first stack, then those of the next one. Stacks are in the order
 * in which a run meets them, the encoder's first.
 */
export class PageNumbers {
  /** The number of stacks of the encoder. */
  readonly encoderStacks: number
  readonly count: number
  /**
   * Bytes of a slot, the memory that holds one page: those of the largest page. The stacks of T5 and Switch models have
   * pages of one size, so nothing is lost.
   */
  readonly slotBytes: number
  /** The first page of each stack. */
  private readonly firsts: readonly number[]
  private readonly stackOfPage: Int32Array

  constructor(readonly stacks: readonly StackShape[]) {
    const firsts: number[] = []
    let count = 0
    for (const { numExperts } of stacks) {
      firsts.push(count)
      count += numExperts
    }
    this.firsts = firsts
    this.count = count
    this.slotBytes = Math.max(...stacks.map(({ bytes }) => bytes))
    this.encoderStacks = stacks.filter(({ path }) => path.startsWith('encoder/')).length
    this.stackOfPage = new Int32Array(count)
    stacks.forEach(({ numExperts }, stack) => this.stackOfPage.fill(stack, firsts[stack], firsts[stack] + numExperts))
  }

  of(stack: number, expert: number): number {
    return this.firsts[stack] + expert
  }

  stackOf(page: number): number {
    return this.stackOfPage[page]
  }

  expertOf(page: number): number {
    return page - this.firsts[this.stackOfPage[page]]
  }
}

/** How many pages fit into a memory. */
export const slotsIn = (memory: number, { slotBytes, count }: PageNumbers): number =>
  Math.min(count, Math.floor(memory / slotBytes))

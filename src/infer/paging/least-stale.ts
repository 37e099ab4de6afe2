import type { PageNumbers } from './pages.js'
import type { EvictionPolicy } from './policy.js'

/**
 * Counts passes through the layers. A pass is an encoding or a step of the decoder: stacks in ascending order. Runs
 * that share the pages of one model interleave their stacks, which counts more passes.
 */
export class PassCounter {
  /** The number of the current pass. */
  pass = 0
  /** The stack whose layer runs now. */
  stack = -1

  /** `encoderStacks`: a decoder's stack after one of the encoder's begins a pass, too. */
  constructor(private readonly encoderStacks: number) {}

  begin(stack: number): void {
    const { encoderStacks } = this
    const isOtherHalf = this.stack < encoderStacks && stack >= encoderStacks
    if (stack <= this.stack || isOtherHalf) this.pass++
    this.stack = stack
  }
}

/**
 * Least-stale, the policy of SpecMD (Hoang, Jaiswal, Samragh, Cho 2026, arXiv:2602.03921), as we read it: pages that
 * the current pass has not used are stale, and are evicted before those that it has. Among both, the page whose layer
 * comes again last goes first; of one layer, the least recently used page.
 */
export class LeastStale implements EvictionPolicy {
  private readonly lastUse: Float64Array
  private readonly lastPass: Int32Array
  private readonly passes: PassCounter
  private time = 0

  constructor(private readonly pages: PageNumbers) {
    this.lastUse = new Float64Array(pages.count)
    this.lastPass = new Int32Array(pages.count).fill(-1)
    this.passes = new PassCounter(pages.encoderStacks)
  }

  begin(stack: number): void {
    this.passes.begin(stack)
  }

  use(page: number): void {
    this.lastUse[page] = ++this.time
    this.lastPass[page] = this.passes.pass
  }

  worth(page: number): number {
    const { pages, passes } = this
    const isStale = this.lastPass[page] < passes.pass
    const wait = stacksUntil(pages.stackOf(page), passes.stack, pages)
    const furthest = pages.stacks.length + 1
    return (isStale ? 0 : furthest) - wait + this.lastUse[page] / (this.time + 1)
  }
}

/**
 * How many stacks run until `stack` runs again, after `current`. The decoder's layers are a cycle, run once a token.
 * The encoder's layers run once for an input, so they come after all of the decoder's; the decoder follows an encoding.
 */
export function stacksUntil(
  stack: number,
  current: number,
  { stacks, encoderStacks }: Pick<PageNumbers, 'stacks' | 'encoderStacks'>,
): number {
  const decoderStacks = stacks.length - encoderStacks
  if (stack >= encoderStacks)
    return current < encoderStacks ? stack - current : ((stack - current + decoderStacks - 1) % decoderStacks) + 1
  if (current >= encoderStacks) return decoderStacks + 1 + stack
  return stack > current ? stack - current : stacks.length - current + stack
}

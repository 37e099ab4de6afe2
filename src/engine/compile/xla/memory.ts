/** Bytes that may be allocated, more than are freed, before garbage is collected. */
const LEAST_GROWTH = 256 * 2 ** 20

/**
 * Counts the bytes of arrays on devices. JavaScript's garbage collector knows nothing of them, and would leave large
 * ones that nothing refers to for long, so it is started when they have grown.
 */
export class DeviceMemory {
  private live = 0
  private grown = 0

  constructor(
    private readonly collectGarbage: () => void,
    private readonly leastGrowth = LEAST_GROWTH,
  ) {}

  /** The bytes of all arrays that are not freed. */
  get bytes(): number {
    return this.live
  }

  allocated(bytes: number): void {
    this.live += bytes
    this.grown += bytes
  }

  /**
   * Collects garbage if arrays have grown enough since the last time. Called after a run's donated inputs are freed: a
   * training step's results take the memory of its state, which is not growth.
   */
  limitGrowth(): void {
    // In proportion to what lives, so that large models do not collect more often.
    if (this.grown < Math.max(this.leastGrowth, this.live / 4)) return
    this.grown = 0
    this.collectGarbage()
  }

  freed(bytes: number): void {
    this.live -= bytes
    this.grown = Math.max(0, this.grown - bytes)
  }
}

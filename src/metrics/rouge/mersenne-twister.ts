const SIZE = 624
const SHIFT = 397

/**
 * MT19937 (M. Matsumoto and T. Nishimura, 1998), seeded as NumPy's `numpy.random.seed(seed)`: the generator of 32-bit
 * words behind NumPy's global random functions.
 */
export class MersenneTwister {
  private readonly state = new Uint32Array(SIZE)
  private position = SIZE

  constructor(seed: number) {
    this.state[0] = seed
    for (let i = 1; i < SIZE; i++) {
      const before = this.state[i - 1]
      this.state[i] = Math.imul(1_812_433_253, before ^ (before >>> 30)) + i
    }
  }

  /** The next 32 random bits, as an unsigned number. */
  next(): number {
    if (this.position === SIZE) this.refill()
    let y = this.state[this.position++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }

  /**
   * A whole number from 0 to `greatest`, as NumPy's `randint` draws it: words are masked to as many bits as `greatest`
   * has, and words above `greatest` are skipped. A `greatest` of 0 draws nothing.
   */
  upTo(greatest: number): number {
    if (greatest === 0) return 0
    const mask = 0xffffffff >>> Math.clz32(greatest)
    let value = (this.next() & mask) >>> 0
    while (value > greatest) value = (this.next() & mask) >>> 0
    return value
  }

  private refill(): void {
    const { state } = this
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff)
      state[i] = state[(i + SHIFT) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
    }
    this.position = 0
  }
}

/**
 * Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the generator behind
 * all random numbers of TensorFlow on a CPU. A 64-bit key and a 128-bit counter give a block of four 32-bit words.
 */

/** The high 32 bits of the 64-bit product of two unsigned words, from products of 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0
  const low = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (low >>> 16)) | 0
}

/**
 * The words of one key, in the order in which TensorFlow uses them: block b is made from the counter plus b, and gives
 * words 4b to 4b + 3. Any word can be had at once.
 */
export class PhiloxStream {
  /** The key's two words and the counter's four words, low words first. */
  constructor(
    private readonly key: readonly [number, number],
    private readonly counter: readonly [number, number, number, number],
  ) {}

  /** The word at `index`, which may be any safe integer. */
  word(index: number): number {
    const within = index % 4
    return this.words(1 + within, (index - within) / 4)[within]
  }

  /** `count` consecutive words, beginning with the first word of `block`. */
  words(count: number, block = 0): Uint32Array {
    const out = new Uint32Array(4 * Math.ceil(count / 4))
    this.fill(out, count, block)
    return count === out.length ? out : out.subarray(0, count)
  }

  /**
   * Writes `count` consecutive words, beginning with the first word of `block`, and up to three more: `out` has a
   * multiple of 4 places.
   */
  fill(out: Uint32Array, count: number, block = 0): void {
    // Constants of the function, not of the module: the engine then computes with them as literals, twice as fast.
    const multiplier0 = 0xd2511f53
    const multiplier1 = 0xcd9e8d57
    const keyStep0 = 0x9e3779b9
    const keyStep1 = 0xbb67ae85
    let [c0, c1, c2, c3] = add(this.counter, block)
    for (let at = 0; at < count; at += 4) {
      let x0 = c0
      let x1 = c1
      let x2 = c2
      let x3 = c3
      let k0 = this.key[0] | 0
      let k1 = this.key[1] | 0
      for (let round = 0; round < 10; round++) {
        const high0 = multiplyHigh(multiplier0, x0)
        const low0 = Math.imul(multiplier0, x0)
        const high1 = multiplyHigh(multiplier1, x2)
        const low1 = Math.imul(multiplier1, x2)
        x0 = high1 ^ x1 ^ k0
        x1 = low1
        x2 = high0 ^ x3 ^ k1
        x3 = low0
        k0 = (k0 + keyStep0) | 0
        k1 = (k1 + keyStep1) | 0
      }
      out[at] = x0
      out[at + 1] = x1
      out[at + 2] = x2
      out[at + 3] = x3
      c0 = (c0 + 1) | 0
      if (c0 === 0) {
        c1 = (c1 + 1) | 0
        if (c1 === 0) {
          c2 = (c2 + 1) | 0
          if (c2 === 0) c3 = (c3 + 1) | 0
        }
      }
    }
  }
}

/** The counter plus a number of blocks, modulo 2^128. */
function add(counter: readonly [number, number, number, number], blocks: number): [number, number, number, number] {
  const c0 = (counter[0] >>> 0) + (blocks % 2 ** 32)
  const c1 = (counter[1] >>> 0) + Math.floor(blocks / 2 ** 32) + (c0 >= 2 ** 32 ? 1 : 0)
  const c2 = (counter[2] >>> 0) + (c1 >= 2 ** 32 ? 1 : 0)
  const c3 = (counter[3] >>> 0) + (c2 >= 2 ** 32 ? 1 : 0)
  return [c0 | 0, c1 | 0, c2 | 0, c3 | 0]
}

import { ArenaFunctions } from './arena-functions.js'
import { BLOCK, BLOCK_BYTES, blockProductCode, ZERO } from './block-product-code.js'
import { pageArenaOf } from './page-arenas.js'
import { fitsScratch, MOST_ROWS, ROUND, scratchPlan } from './scratch.js'

/**
 * The most rows of a product. Each takes as long as a hundredth of what ONNX Runtime takes to copy the kernel, which it
 * has to do at each use if there is no memory to keep the copy.
 */
const MOST_BLOCK_ROWS = 32

/** Whether a product of these sizes with a kernel of 4 bits can be computed by `BlockProducts`. */
export const fitsBlockProduct = (rows: number, inputs: number, outputs: number, blockBytes: number): boolean =>
  rows <= MOST_BLOCK_ROWS &&
  blockBytes === BLOCK_BYTES &&
  inputs > 0 &&
  inputs % BLOCK === 0 &&
  outputs > 0 &&
  fitsScratch(scratchOf(Math.min(rows, MOST_ROWS), inputs, outputs))

const scratchOf = (rows: number, inputs: number, outputs: number): number[] => [
  2 * rows * inputs,
  4 * rows * (inputs / BLOCK),
  4 * rows * (inputs / BLOCK),
  4 * rows * outputs,
]

/**
 * Products of few rows with a kernel in 4 bits that lies in a page arena, read where it is. ONNX Runtime multiplies
 * such kernels only as weights of a session, which copies them into another layout.
 */
export class BlockProducts {
  private readonly functions = new ArenaFunctions(blockProductCode)

  /**
   * x [rows, inputs] times a kernel uint8 [outputs, blocks, 16] with scales [outputs, blocks] (see nn/quantized.ts),
   * into `product` [rows, outputs]. As in ONNX Runtime's product, each block of x is rounded to integers from -127 to
   * 127, which stand for that many 127ths of its largest magnitude, and integers are multiplied exactly; the sums of
   * blocks are added in another order. False if it cannot be computed: if the kernel lies elsewhere, or x is not
   * finite.
   */
  multiply(x: Float32Array, rows: number, kernel: Uint8Array, scales: Float32Array, product: Float32Array): boolean {
    const [inputs, outputs] = [x.length / rows, product.length / rows]
    for (let row = 0; row < rows; row += MOST_ROWS) {
      const end = Math.min(row + MOST_ROWS, rows)
      const ofRows = product.subarray(row * outputs, end * outputs)
      if (!this.multiplyFew(x.subarray(row * inputs, end * inputs), end - row, kernel, scales, ofRows)) return false
    }
    return true
  }

  private multiplyFew(
    x: Float32Array,
    rows: number,
    kernel: Uint8Array,
    scales: Float32Array,
    product: Float32Array,
  ): boolean {
    const arena = pageArenaOf(kernel)
    if (!arena || pageArenaOf(scales) !== arena) return false
    const inputs = x.length / rows
    const outputs = product.length / rows
    const blocks = inputs / BLOCK
    const { buffer } = arena.memory
    const { offsets } = scratchPlan(scratchOf(rows, inputs, outputs))
    const [integersAt, sumsAt, xScalesAt, productAt] = offsets
    const isFinite = roundBlocks(
      x,
      rows,
      new Int16Array(buffer, integersAt, x.length),
      new Int32Array(buffer, sumsAt, rows * blocks),
      new Float32Array(buffer, xScalesAt, rows * blocks),
    )
    if (!isFinite) return false
    this.functions.on(arena, rows)(
      productAt,
      kernel.byteOffset,
      scales.byteOffset,
      scales.byteOffset + scales.byteLength,
      integersAt,
      sumsAt,
      xScalesAt,
      blocks,
      outputs,
    )
    product.set(new Float32Array(buffer, productAt, product.length))
    return true
  }
}

/**
 * Rounds each block of the rows of x, in the order of `blockProductCode`. Writes its sum, times -ZERO, into `sums`
 * [blocks, rows], and what an integer stands for into `scales` [blocks, rows]. Returns false if an element is not
 * finite.
 */
function roundBlocks(
  x: Float32Array,
  rows: number,
  integers: Int16Array,
  sums: Int32Array,
  scales: Float32Array,
): boolean {
  const inputs = x.length / rows
  for (let row = 0; row < rows; row++)
    for (let block = 0; block < inputs / BLOCK; block++) {
      const start = row * inputs + block * BLOCK
      let largest = 0
      for (let k = start; k < start + BLOCK; k++) largest = Math.max(largest, Math.abs(x[k]))
      if (!(largest < Infinity)) return false
      scales[block * rows + row] = largest / 127
      const inverse = largest === 0 ? 0 : Math.fround(127 / largest)
      const to = (block * rows + row) * BLOCK
      let sum = 0
      for (let k = 0; k < BLOCK; k++) {
        const rounded = Math.fround(Math.fround(x[start + k] * inverse) + ROUND) - ROUND
        integers[to + (k % 4) * (BLOCK / 4) + (k >> 2)] = rounded
        sum += rounded
      }
      sums[block * rows + row] = -ZERO * sum
    }
  return true
}

import { ArenaFunctions } from './arena-functions.js'
import { BLOCK_INPUTS, BLOCK_OUTPUTS, integerProductCode } from './integer-product-code.js'
import { pageArenaOf } from './page-arenas.js'
import { fitsScratch, MOST_ROWS, ROUND, scratchPlan } from './scratch.js'

/** float32 constants of nn/quantized.ts. */
const INVERSE = Math.fround(1 / 127)

/** Whether a product of these sizes can be computed by `IntegerProducts`. */
export const fitsProduct = (rows: number, inputs: number, outputs: number): boolean =>
  rows <= MOST_ROWS &&
  inputs > 0 &&
  inputs % BLOCK_INPUTS === 0 &&
  outputs > 0 &&
  outputs % BLOCK_OUTPUTS === 0 &&
  fitsScratch(scratchOf(rows, inputs, outputs))

const scratchOf = (rows: number, inputs: number, outputs: number): number[] => [2 * rows * inputs, 4 * rows * outputs]

/**
 * Products of few rows with a kernel in 8 bits that lies in a page arena, read where it is. For one row this takes as
 * long as reading the kernel. ONNX Runtime copies a kernel that is no weight into another layout first, which takes
 * three times as long.
 */
export class IntegerProducts {
  private readonly functions = new ArenaFunctions(integerProductCode)

  /**
   * `multiplyIntegers` of nn/quantized.ts, with its bits: x [rows, inputs] times a kernel [inputs, outputs] with one
   * scale for each output, into `product` [rows, outputs]. False if it cannot be computed: if the kernel lies
   * elsewhere, and for a row whose largest magnitude is 0 or not finite.
   */
  multiply(x: Float32Array, rows: number, kernel: Int8Array, scales: Float32Array, product: Float32Array): boolean {
    const arena = pageArenaOf(kernel)
    if (!arena) return false
    const inputs = x.length / rows
    const outputs = scales.length
    const { buffer } = arena.memory
    const [integersAt, sumsAt] = scratchPlan(scratchOf(rows, inputs, outputs)).offsets
    const largest = roundRows(x, rows, new Int16Array(buffer, integersAt, x.length))
    if (!largest) return false
    const sums = new Int32Array(buffer, sumsAt, rows * outputs).fill(0)
    this.functions.on(arena, rows, outputs)(sumsAt, kernel.byteOffset, integersAt, integersAt + 2 * x.length)
    for (let row = 0, i = 0; row < rows; row++)
      for (let k = 0; k < outputs; k++, i++)
        product[i] = Math.fround(Math.fround(sums[i]) * Math.fround(scales[k] * INVERSE)) * largest[row]
    return true
  }
}

/**
 * Rounds the rows of x to integers from -127 to 127, in the blocks of `integerProductCode`. Returns the rows' largest
 * magnitudes; null if one is 0 or not finite.
 */
function roundRows(x: Float32Array, rows: number, integers: Int16Array): Float32Array | null {
  const inputs = x.length / rows
  const all = new Float32Array(rows)
  for (let row = 0; row < rows; row++) {
    const start = row * inputs
    let largest = 0
    for (let k = start; k < start + inputs; k++) largest = Math.max(largest, Math.abs(x[k]))
    if (!(largest > 0 && largest < Infinity)) return null
    all[row] = largest
    for (let block = 0; block < inputs; block += BLOCK_INPUTS) {
      const to = block * rows + row * BLOCK_INPUTS
      for (let k = 0; k < BLOCK_INPUTS; k++) {
        const scaled = Math.fround(Math.fround(x[start + block + k] / largest) / INVERSE)
        integers[to + k] = Math.fround(scaled + ROUND) - ROUND
      }
    }
  }
  return all
}

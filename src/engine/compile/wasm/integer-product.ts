import { pageArenaOf, SCRATCH_BYTES } from './page-arenas.js'
import type { PageArena } from './page-arenas.js'
import { BLOCK_INPUTS, BLOCK_OUTPUTS, integerProductCode } from './integer-product-code.js'

type ProductFunction = (sums: number, kernel: number, outputs: number, x: number, endOfX: number) => void

/** ONNX Runtime multiplies more rows than this faster, although it copies the kernel into another layout each time. */
export const MOST_ROWS = 4

/** Where the integers of x begin in a page arena. Address 0 is left out. */
const X_OFFSET = 64

/** float32 constants of nn/quantized.ts. */
const INVERSE = Math.fround(1 / 127)

/** A float32 number below 2^22 to which this is added, and then subtracted, is rounded to an integer, half to even. */
const ROUND = 1.5 * 2 ** 23

/** Whether a product of these sizes can be computed by `IntegerProducts`. */
export const fitsProduct = (rows: number, inputs: number, outputs: number): boolean =>
  rows <= MOST_ROWS &&
  inputs > 0 &&
  inputs % BLOCK_INPUTS === 0 &&
  outputs > 0 &&
  outputs % BLOCK_OUTPUTS === 0 &&
  sumsOffset(rows, inputs) + 4 * rows * outputs <= SCRATCH_BYTES

const sumsOffset = (rows: number, inputs: number): number => Math.ceil((X_OFFSET + 2 * rows * inputs) / 64) * 64

/**
 * Products of few rows with a kernel in 8 bits that lies in a page arena, read where it is. For one row this takes as
 * long as reading the kernel. ONNX Runtime copies a kernel that is no weight into another layout first, which takes
 * three times as long.
 */
export class IntegerProducts {
  private readonly modules = new Map<number, WebAssembly.Module>()
  private readonly onArena = new WeakMap<PageArena, Map<number, ProductFunction>>()

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
    const largest = roundRows(x, rows, new Int16Array(buffer, X_OFFSET, x.length))
    if (!largest) return false
    const offset = sumsOffset(rows, inputs)
    const sums = new Int32Array(buffer, offset, rows * outputs).fill(0)
    this.functionOn(arena, rows)(offset, kernel.byteOffset, outputs, X_OFFSET, X_OFFSET + 2 * x.length)
    for (let row = 0, i = 0; row < rows; row++)
      for (let k = 0; k < outputs; k++, i++)
        product[i] = Math.fround(Math.fround(sums[i]) * Math.fround(scales[k] * INVERSE)) * largest[row]
    return true
  }

  private functionOn(arena: PageArena, rows: number): ProductFunction {
    let functions = this.onArena.get(arena)
    if (!functions) this.onArena.set(arena, (functions = new Map<number, ProductFunction>()))
    let f = functions.get(rows)
    if (!f) {
      let module = this.modules.get(rows)
      if (!module) this.modules.set(rows, (module = new WebAssembly.Module(integerProductCode(rows))))
      f = new WebAssembly.Instance(module, { env: { memory: arena.memory } }).exports.loop as ProductFunction
      functions.set(rows, f)
    }
    return f
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

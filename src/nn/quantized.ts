import { memoized } from '../base/lru.js'
import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as lax from '../engine/api/lax.js'
import * as np from '../engine/api/np.js'

/**
 * A kernel [..., in, out] in 8 or 4 bits, for inference only, in one of two forms:
 *
 * - by column, 8 bits: `values` int8 [..., in, out], `scales` [..., out]. An element is value * scale.
 * - in blocks, 4 bits (and 8 bits in files of earlier versions): `values` uint8 [..., out, blocks, bytes of a block],
 *   `scales` [..., out, blocks]. An element is (value - zero) * scale, where zero is 8 (128) and each block of
 *   neighbouring inputs has one scale. With 4 bits, a byte holds two elements, the first in its low half.
 */
export type QuantizedKernel = {
  values: Tensor
  scales: Tensor // float32
}

/** A kernel, quantized or not. */
export type Kernel = Tensor | QuantizedKernel

export const isQuantized = (kernel: Kernel): kernel is QuantizedKernel => 'scales' in kernel

/** Whether a quantized kernel has one scale for each output, not one for each block. */
export const isByColumn = ({ values }: QuantizedKernel): boolean => values.dtype === 'int8'

/** The bits of one element of a kernel in blocks with this number of inputs. */
export function bitsOf({ values }: QuantizedKernel, inputs: number): number {
  const [blocks, bytes] = values.shape.slice(-2)
  return (8 * blocks * bytes) / inputs
}

/** The float32 values of a kernel in blocks, transposed as they are stored. */
export function dequantizeBlocks({ values, scales }: QuantizedKernel, bits: number): Tensor {
  const stored = np.astype(values, 'int32') // [..., out, blocks, bytes]
  const halves = (): Tensor =>
    np.reshape(np.stack([np.remainder(stored, 16), np.floorDivide(stored, 16)], -1), [...scales.shape, -1]) // [..., out, blocks, in of a block]
  const integers = np.subtract(bits === 8 ? stored : halves(), 2 ** (bits - 1)) // [..., out, blocks, in of a block]
  const elements = np.multiply(np.astype(integers, 'float32'), np.expandDims(scales, -1)) // [..., out, blocks, in of a block]
  return np.reshape(elements, [...scales.shape.slice(0, -1), -1]) // [..., out, in]
}

/** A kernel with this number of inputs as one array: dequantized to float32, or the kernel itself. */
export function wholeKernel(kernel: Kernel, inputs: number): Tensor {
  if (!isQuantized(kernel)) return kernel // [..., in, out]
  return isByColumn(kernel)
    ? np.multiply(np.astype(kernel.values, 'float32'), np.expandDims(kernel.scales, -2)) // [..., in, out]
    : np.swapaxes(dequantizeBlocks(kernel, bitsOf(kernel, inputs)), -1, -2) // [..., in, out]
}

/** x [rows, in] times a kernel [in, out], in x's dtype. */
export function product(x: Tensor, kernel: Kernel): Tensor {
  if (!isQuantized(kernel)) return np.matmul(x, np.astype(kernel, x.dtype)) // [rows, out]
  const multiply = isByColumn(kernel) ? integerProduct : blockProduct(bitsOf(kernel, x.shape[1]))
  return np.astype(multiply(np.astype(x, 'float32'), kernel), x.dtype) // [rows, out]
}

/** A composite: `multiplyIntegers`. */
export const integerProduct = composite('integer_product', (x: Tensor, kernel: QuantizedKernel) =>
  multiplyIntegers(x, kernel),
) // [rows, out]

/** A composite. A backend may lower it to a matmul of the quantized values, which also rounds x to 8 bits. */
export const blockProduct = memoized(2, (bits: number) =>
  composite(
    'quantized_product',
    (x: Tensor, kernel: QuantizedKernel) => np.einsum('mk,nk->mn', x, dequantizeBlocks(kernel, bits)), // [rows, out]
    { attributes: { bits } },
  ),
)

/**
 * x [..., rows, in], rounded to 8 bits, times a kernel by column [..., in, out]. A row's elements become integers from
 * -127 to 127, which stand for that many 127ths of its largest magnitude. The integers are multiplied exactly; the sums
 * are multiplied by the kernel's scales / 127, then by the rows' largest magnitudes. Each row has its own, so no row
 * depends on another one. A row of zeros gives zeros; one with an element that is not finite gives no finite number.
 * The sums fit in int32 for up to 2^17 inputs.
 */
export function multiplyIntegers(x: Tensor, { values, scales }: QuantizedKernel): Tensor {
  const largest = largestMagnitudes(x) // [..., rows, 1]
  const integers = np.astype(np.round(np.divide(np.divide(x, largest), 1 / 127)), 'int32') // [..., rows, in]
  const sums = np.matmul(integers, np.astype(values, 'int32')) // [..., rows, out]
  const factors = np.expandDims(np.multiply(scales, 1 / 127), -2) // [..., 1, out]
  return np.multiply(np.multiply(np.astype(sums, 'float32'), factors), largest) // [..., rows, out]
}

/**
 * The largest magnitude of each row of x [..., in]; NaN for a row with a NaN. Magnitudes are compared as their bits,
 * whose order is that of the numbers, with NaN above infinity.
 */
function largestMagnitudes(x: Tensor): Tensor {
  const magnitudes = lax.bitcastConvertType(np.abs(x), 'int32') // [..., in]
  return lax.bitcastConvertType(np.max(magnitudes, { axis: -1, keepdims: true }), 'float32') // [..., 1]
}

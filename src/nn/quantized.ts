import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

/**
 * A kernel [..., in, out] in 8 or 4 bits, for inference only. An element is (value - zero) * scale, where zero is 128
 * (8 bits) or 8 (4 bits) and each block of neighbouring inputs has one scale. It is stored transposed, so that the
 * inputs of one output are contiguous. With 4 bits, a byte holds two elements, the first in its low half.
 */
export type QuantizedKernel = {
  values: Tensor // uint8 [..., out, blocks, bytes of a block]
  scales: Tensor // float32 [..., out, blocks]
}

/** A kernel, quantized or not. */
export type Kernel = Tensor | QuantizedKernel

export const isQuantized = (kernel: Kernel): kernel is QuantizedKernel => 'scales' in kernel

/** The bits of one element of a quantized kernel with this number of inputs. */
export function bitsOf({ values }: QuantizedKernel, inputs: number): number {
  const [blocks, bytes] = values.shape.slice(-2)
  return (8 * blocks * bytes) / inputs
}

/** A quantized kernel's float32 values, transposed as they are stored. */
export function dequantize({ values, scales }: QuantizedKernel, bits: number): Tensor {
  const stored = np.astype(values, 'int32') // [..., out, blocks, bytes]
  const halves = (): Tensor =>
    np.reshape(np.stack([np.remainder(stored, 16), np.floorDivide(stored, 16)], -1), [...scales.shape, -1]) // [..., out, blocks, in of a block]
  const integers = np.subtract(bits === 8 ? stored : halves(), 2 ** (bits - 1)) // [..., out, blocks, in of a block]
  const elements = np.multiply(np.astype(integers, 'float32'), np.expandDims(scales, -1)) // [..., out, blocks, in of a block]
  return np.reshape(elements, [...scales.shape.slice(0, -1), -1]) // [..., out, in]
}

/** A kernel with this number of inputs as one array: dequantized to float32, or the kernel itself. */
export const wholeKernel = (kernel: Kernel, inputs: number): Tensor =>
  isQuantized(kernel) ? np.swapaxes(dequantize(kernel, bitsOf(kernel, inputs)), -1, -2) : kernel // [..., in, out]

/** x [rows, in] times a kernel [in, out], in x's dtype. */
export function product(x: Tensor, kernel: Kernel): Tensor {
  if (!isQuantized(kernel)) return np.matmul(x, np.astype(kernel, x.dtype)) // [rows, out]
  const bits = bitsOf(kernel, x.shape[1])
  return np.astype(quantizedProduct(bits)(np.astype(x, 'float32'), kernel), x.dtype) // [rows, out]
}

/** A composite. A backend may lower it to a matmul of the quantized values, which also rounds x to 8 bits. */
const quantizedProduct = (bits: number): ((x: Tensor, kernel: QuantizedKernel) => Tensor) =>
  composite(
    'quantized_product',
    (x: Tensor, kernel: QuantizedKernel) => np.einsum('mk,nk->mn', x, dequantize(kernel, bits)), // [rows, out]
    { attributes: { bits } },
  )

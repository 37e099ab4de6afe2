import type { Tensor } from '../engine/api/tensor.js'
import { composite } from '../engine/api/composite.js'
import * as np from '../engine/api/np.js'

/**
 * A kernel [..., in, out] kept in 8 or 4 bits, for answering only: an element is (value - zero) * scale, where zero is 128 or 8, and
 * a block of neighbouring inputs has one scale. It lies turned round, so that what makes one output stands together. With 4 bits two
 * elements share a byte, the first in its low half.
 */
export type QuantizedKernel = {
  values: Tensor // uint8 [..., out, blocks, bytes of a block]
  scales: Tensor // float32 [..., out, blocks]
}

/** A kernel as it is computed with. */
export type Kernel = Tensor | QuantizedKernel

export const isQuantized = (kernel: Kernel): kernel is QuantizedKernel => 'scales' in kernel

/** The bits of an element of a kernel that has so many inputs. */
export function bitsOf({ values }: QuantizedKernel, inputs: number): number {
  const [blocks, bytes] = values.shape.slice(-2)
  return (8 * blocks * bytes) / inputs
}

/** The kernel in float32, turned round as it lies. */
export function dequantize({ values, scales }: QuantizedKernel, bits: number): Tensor {
  const stored = np.astype(values, 'int32') // [..., out, blocks, bytes]
  const halves = (): Tensor =>
    np.reshape(np.stack([np.remainder(stored, 16), np.floorDivide(stored, 16)], -1), [...scales.shape, -1])
  const integers = np.subtract(bits === 8 ? stored : halves(), 2 ** (bits - 1)) // [..., out, blocks, in of a block]
  const elements = np.multiply(np.astype(integers, 'float32'), np.expandDims(scales, -1)) // [..., out, blocks, in of a block]
  return np.reshape(elements, [...scales.shape.slice(0, -1), -1]) // [..., out, in]
}

/** A kernel that so many inputs go into as it is computed with, in its own dtype or float32. */
export const wholeKernel = (kernel: Kernel, inputs: number): Tensor =>
  isQuantized(kernel) ? np.swapaxes(dequantize(kernel, bitsOf(kernel, inputs)), -1, -2) : kernel // [..., in, out]

/** x [rows, in] times a kernel [in, out], in x's dtype. */
export function product(x: Tensor, kernel: Kernel): Tensor {
  if (!isQuantized(kernel)) return np.matmul(x, np.astype(kernel, x.dtype)) // [rows, out]
  const bits = bitsOf(kernel, x.shape[1])
  return np.astype(quantizedProduct(bits)(np.astype(x, 'float32'), kernel), x.dtype) // [rows, out]
}

/** A backend that knows it reads the stored values as they are, and may round x to 8 bits. */
const quantizedProduct = (bits: number): ((x: Tensor, kernel: QuantizedKernel) => Tensor) =>
  composite(
    'quantized_product',
    (x: Tensor, kernel: QuantizedKernel) => np.einsum('mk,nk->mn', x, dequantize(kernel, bits)),
    { attributes: { bits } },
  )

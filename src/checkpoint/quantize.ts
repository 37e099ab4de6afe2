import { SwitchyardError } from '../base/errors.js'
import { castHost, sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { ParameterRole, ParameterSpec } from '../model/parameters.js'
import { transposeMatrix } from './layout.js'

/** Bits of one element of a quantized kernel. */
export type Bits = 4 | 8

/** A quantized kernel in host memory, laid out as nn/quantized.ts computes with it. */
export interface QuantizedTensor {
  values: HostTensor // uint8 [..., out, blocks, bytes of a block]
  scales: HostTensor // float32 [..., out, blocks]
}

/** The smallest block of ONNX Runtime's MatMulNBits, whose blocks are powers of two. */
const LEAST_BLOCK = 16

/** The part of a parameter's declaration that quantization needs. */
type QuantizedSpec = Pick<ParameterSpec, 'path' | 'role' | 'shape'>

const quantizedRoles: readonly ParameterRole[] = ['embedding', 'outputProjection', 'kernel', 'expertKernel']

/**
 * Whether a parameter is stored as [..., out, in], the layout of quantized values, and need not be transposed. Only the
 * embedding is: it has one row for each token.
 */
export const isOutputsFirst = ({ role }: Pick<ParameterSpec, 'role'>): boolean => role === 'embedding'

/**
 * The shapes of a parameter's values and scales in `bits` bits. null if the parameter is not quantized: norms, biases,
 * routers, and kernels whose number of inputs has no block size.
 */
export function quantizedShapes(
  spec: QuantizedSpec,
  bits: Bits,
): { values: readonly number[]; scales: readonly number[] } | null {
  if (!quantizedRoles.includes(spec.role)) return null
  const leading = spec.shape.slice(0, -2)
  const [outputs, inputs] = isOutputsFirst(spec) ? spec.shape : spec.shape.slice(-2).toReversed()
  const block = blockOf(inputs, bits)
  if (block === null) return null
  const scales = [...leading, outputs, inputs / block]
  return { values: [...scales, (block * bits) / 8], scales }
}

/**
 * The number of inputs that share a scale, or null if no block size divides the inputs. 4 bits need small blocks for
 * quality; 8 bits take large ones, which are read faster.
 */
function blockOf(inputs: number, bits: Bits): number | null {
  for (let block = bits === 8 ? 128 : 32; block >= LEAST_BLOCK; block /= 2) if (inputs % block === 0) return block
  return null
}

/**
 * Quantizes a parameter, given as `rows` [..., out, in]. The scale of a block makes its largest magnitude 127 (8 bits)
 * or 7 (4 bits). Returns null if the parameter is not quantized. Throws a SwitchyardError if an element is not finite.
 */
export function quantize(spec: QuantizedSpec, rows: HostTensor, bits: Bits): QuantizedTensor | null {
  const shapes = quantizedShapes(spec, bits)
  if (!shapes) return null
  const values = new Uint8Array(sizeOf(shapes.values))
  const scales = new Float32Array(sizeOf(shapes.scales))
  const block = (shapes.values.at(-1)! * 8) / bits
  const elements = castHost(rows, 'float32').data as Float32Array
  const [zero, most] = [2 ** (bits - 1), 2 ** (bits - 1) - 1]
  for (let i = 0; i < scales.length; i++) {
    const [start, end] = [i * block, (i + 1) * block]
    let largest = 0
    for (let k = start; k < end; k++) largest = Math.max(largest, Math.abs(elements[k]))
    if (!Number.isFinite(largest))
      throw new SwitchyardError(`${spec.path} has an element that is not finite: it cannot be quantized`)
    scales[i] = largest / most
    const inverse = largest === 0 ? 0 : most / largest
    for (let k = start; k < end; k++) {
      const stored = Math.round(elements[k] * inverse) + zero
      if (bits === 8) values[k] = stored
      else values[Math.floor(k / 2)] |= stored << (4 * (k % 2))
    }
  }
  return {
    values: { dtype: 'uint8', shape: shapes.values, data: values },
    scales: { dtype: 'float32', shape: shapes.scales, data: scales },
  }
}

/** The float32 values of a quantized parameter, in the parameter's own shape. */
export function dequantizeHost(spec: QuantizedSpec, { values, scales }: QuantizedTensor, bits: Bits): HostTensor {
  const data = new Float32Array(sizeOf(spec.shape))
  const block = (values.shape.at(-1)! * 8) / bits
  const zero = 2 ** (bits - 1)
  const [stored, factors] = [values.data as Uint8Array, scales.data as Float32Array]
  for (let k = 0; k < data.length; k++) {
    const value = bits === 8 ? stored[k] : (stored[Math.floor(k / 2)] >> (4 * (k % 2))) & 15
    data[k] = (value - zero) * factors[Math.floor(k / block)]
  }
  if (isOutputsFirst(spec)) return { dtype: 'float32', shape: spec.shape, data }
  return transposeMatrix({
    dtype: 'float32',
    shape: [...spec.shape.slice(0, -2), spec.shape.at(-1)!, spec.shape.at(-2)!],
    data,
  })
}

import { SwitchyardError } from '../base/errors.js'
import { castHost, sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { StoredTensor } from '../base/stored-tensor.js'
import type { ParameterRole, ParameterSpec } from '../model/parameters.js'
import { transposeMatrix } from './layout.js'

/** Bits of one element of a quantized kernel. */
export type Bits = 4 | 8

/** A quantized kernel in host memory, in one of the two forms of nn/quantized.ts: by column, or in blocks. */
export interface QuantizedTensor {
  values: HostTensor // int8 [..., in, out] (the embedding [vocab, dModel]), or uint8 [..., out, blocks, bytes of a block]
  scales: HostTensor // float32 [..., out], or [..., out, blocks]
}

/** A quantized kernel in files on disk. */
export interface StoredQuantized {
  values: StoredTensor
  scales: StoredTensor
}

/** The types of a quantized kernel's values and scales. */
export interface QuantizedTypes {
  dtype: 'int8' | 'uint8'
  values: readonly number[]
  scales: readonly number[]
}

/** The smallest block of ONNX Runtime's MatMulNBits, whose blocks are powers of two. */
const LEAST_BLOCK = 16

/** The part of a parameter's declaration that quantization needs. */
type QuantizedSpec = Pick<ParameterSpec, 'path' | 'role' | 'shape'>

const quantizedRoles: readonly ParameterRole[] = ['embedding', 'outputProjection', 'kernel', 'expertKernel']

/** Whether a parameter is declared as [..., out, in]. Only the embedding is: it has one row for each token. */
export const isOutputsFirst = ({ role }: Pick<ParameterSpec, 'role'>): boolean => role === 'embedding'

/** A parameter's axes before its matrices, and the numbers of outputs and inputs of a matrix. */
function sizesOf(spec: QuantizedSpec): { leading: readonly number[]; outputs: number; inputs: number } {
  const [outputs, inputs] = isOutputsFirst(spec) ? spec.shape : spec.shape.slice(-2).toReversed()
  return { leading: spec.shape.slice(0, -2), outputs, inputs }
}

/**
 * The types of a parameter's values and scales in `bits` bits: by column with 8 bits, in blocks with 4. null if the
 * parameter is not quantized: norms, biases, routers, and kernels whose number of inputs has no block size.
 */
export function quantizedTypes(spec: QuantizedSpec, bits: Bits): QuantizedTypes | null {
  const inBlocks = blockTypes(spec, bits)
  if (bits === 4 || !inBlocks) return inBlocks
  const { leading, outputs } = sizesOf(spec)
  return { dtype: 'int8', values: spec.shape, scales: [...leading, outputs] }
}

/** The types of a parameter in blocks, the form in which earlier versions stored 8 bits too. */
export function blockTypes(spec: QuantizedSpec, bits: Bits): QuantizedTypes | null {
  if (!quantizedRoles.includes(spec.role)) return null
  const { leading, outputs, inputs } = sizesOf(spec)
  const block = blockOf(inputs, bits)
  if (block === null) return null
  const scales = [...leading, outputs, inputs / block]
  return { dtype: 'uint8', values: [...scales, (block * bits) / 8], scales }
}

/** The number of inputs that share a scale, or null if no block size divides the inputs. */
function blockOf(inputs: number, bits: Bits): number | null {
  for (let block = bits === 8 ? 128 : 32; block >= LEAST_BLOCK; block /= 2) if (inputs % block === 0) return block
  return null
}

/**
 * A number added to this and truncated is rounded. The multiple of 256, which makes negative numbers positive, is lost
 * in an Int8Array. This takes a third of the time of Math.round.
 */
const ROUND = 2 ** 20 + 0.5

/**
 * Quantizes a parameter to 8 bits by column. The scale of an output makes its largest magnitude 127. Returns null if
 * the parameter is not quantized. Throws a SwitchyardError if an element is not finite.
 */
export function quantizeColumns(spec: QuantizedSpec, tensor: HostTensor): QuantizedTensor | null {
  const types = quantizedTypes(spec, 8)
  if (!types) return null
  const elements = castHost(tensor, 'float32').data as Float32Array
  const values = new Int8Array(elements.length)
  const scales = new Float32Array(sizeOf(types.scales))
  for (const { start, end, scale, step } of rowsOf(spec))
    for (let k = start, i = scale; k < end; k++, i += step) scales[i] = Math.max(scales[i], Math.abs(elements[k]))
  if (!scales.every(Number.isFinite)) throw notFinite(spec)
  const inverse = scales.map(largest => (largest === 0 ? 0 : 127 / largest))
  for (const { start, end, scale, step } of rowsOf(spec))
    for (let k = start, i = scale; k < end; k++, i += step) values[k] = (elements[k] * inverse[i] + ROUND) | 0
  return {
    values: { dtype: 'int8', shape: types.values, data: values },
    scales: { dtype: 'float32', shape: types.scales, data: scales.map(largest => largest / 127) },
  }
}

/** The positions of a row's elements, and that of the first one's scale; the next one's scale is `step` later. */
interface RowPosition {
  start: number
  end: number
  scale: number
  step: 0 | 1
}

/** The rows of a parameter quantized by column: all of a row's elements have the same output, or each has its own. */
function* rowsOf(spec: QuantizedSpec): Generator<RowPosition> {
  const width = spec.shape.at(-1)!
  const height = spec.shape.at(-2)!
  const rows = sizeOf(spec.shape) / width
  for (let row = 0; row < rows; row++) {
    const at = { start: row * width, end: (row + 1) * width }
    yield isOutputsFirst(spec)
      ? { ...at, scale: row, step: 0 }
      : { ...at, scale: Math.floor(row / height) * width, step: 1 }
  }
}

/**
 * Quantizes a parameter, given as `rows` [..., out, in], in blocks. The scale of a block makes its largest magnitude
 * 127 (8 bits) or 7 (4 bits). Returns null if the parameter is not quantized. Throws a SwitchyardError if an element is
 * not finite.
 */
export function quantizeBlocks(spec: QuantizedSpec, rows: HostTensor, bits: Bits): QuantizedTensor | null {
  const types = blockTypes(spec, bits)
  if (!types) return null
  const values = new Uint8Array(sizeOf(types.values))
  const scales = new Float32Array(sizeOf(types.scales))
  const block = (types.values.at(-1)! * 8) / bits
  const elements = castHost(rows, 'float32').data as Float32Array
  const [zero, most] = [2 ** (bits - 1), 2 ** (bits - 1) - 1]
  for (let i = 0; i < scales.length; i++) {
    const [start, end] = [i * block, (i + 1) * block]
    let largest = 0
    for (let k = start; k < end; k++) largest = Math.max(largest, Math.abs(elements[k]))
    if (!Number.isFinite(largest)) throw notFinite(spec)
    scales[i] = largest / most
    const inverse = largest === 0 ? 0 : most / largest
    for (let k = start; k < end; k++) {
      const stored = Math.round(elements[k] * inverse) + zero
      if (bits === 8) values[k] = stored
      else values[Math.floor(k / 2)] |= stored << (4 * (k % 2))
    }
  }
  return {
    values: { dtype: 'uint8', shape: types.values, data: values },
    scales: { dtype: 'float32', shape: types.scales, data: scales },
  }
}

const notFinite = ({ path }: QuantizedSpec): SwitchyardError =>
  new SwitchyardError(`${path} has an element that is not finite: it cannot be quantized`)

/** The float32 values of a quantized parameter, in the parameter's own shape. */
export function dequantizeHost(spec: QuantizedSpec, { values, scales }: QuantizedTensor, bits: Bits): HostTensor {
  const data = new Float32Array(sizeOf(spec.shape))
  if (values.dtype === 'int8') {
    const [integers, factors] = [values.data as Int8Array, scales.data as Float32Array]
    for (const { start, end, scale, step } of rowsOf(spec))
      for (let k = start, i = scale; k < end; k++, i += step) data[k] = integers[k] * factors[i]
    return { dtype: 'float32', shape: spec.shape, data }
  }
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

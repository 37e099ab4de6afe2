import { SwitchyardError } from '../base/errors.js'
import { castHost, sizeOf } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { ParameterSpec } from '../model/parameters.js'
import { transposeMatrix } from './layout.js'

/** How many bits an element of a quantized kernel has. */
export type Bits = 4 | 8

/** A kernel as nn/quantized.ts computes with it, on the host. */
export interface QuantizedTensor {
  values: HostTensor // uint8 [..., out, blocks, bytes of a block]
  scales: HostTensor // float32 [..., out, blocks]
}

/** Blocks must be a power of two of at least this many for the kernels that know them. */
const LEAST_BLOCK = 16

/** The types of the two parts of a parameter in fewer bits; null if it stays as it is: norms, routers, small or odd kernels. */
export function quantizedTypes(
  spec: Pick<ParameterSpec, 'path' | 'shape' | 'axes'>,
  bits: Bits,
): { values: readonly number[]; scales: readonly number[] } | null {
  const { path, shape, axes } = spec
  if (!isTable(spec) && (!path.endsWith('/kernel') || path.includes('/router/'))) return null
  const [outputs, inputs] = isTable(spec) ? shape : shape.toReversed()
  const block = blockOf(inputs, bits)
  if (block === null) return null
  const scales = [...(axes[0] === 'expert' ? [shape[0]] : []), outputs, inputs / block]
  return { values: [...scales, (block * bits) / 8], scales }
}

/** How many inputs share a scale: with 4 bits few, for what quality is left; with 8 many, which is read faster. */
function blockOf(inputs: number, bits: Bits): number | null {
  for (let block = bits === 8 ? 128 : 32; block >= LEAST_BLOCK; block /= 2) if (inputs % block === 0) return block
  return null
}

/**
 * A parameter in fewer bits: every block's largest element is 127 or 7 (-127 or -7) times its scale. Null if it stays as it is. Throws a
 * SwitchyardError if an element is not finite.
 * `rows`: the parameter turned round, [..., out, in].
 */
export function quantize(
  spec: Pick<ParameterSpec, 'path' | 'shape' | 'axes'>,
  rows: HostTensor,
  bits: Bits,
): QuantizedTensor | null {
  const types = quantizedTypes(spec, bits)
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
    values: { dtype: 'uint8', shape: types.values, data: values },
    scales: { dtype: 'float32', shape: types.scales, data: scales },
  }
}

/** What a parameter in fewer bits stands for, in float32, as the parameter lies. */
export function dequantizeHost(
  spec: Pick<ParameterSpec, 'path' | 'shape'>,
  { values, scales }: QuantizedTensor,
  bits: Bits,
): HostTensor {
  const data = new Float32Array(sizeOf(spec.shape))
  const block = (values.shape.at(-1)! * 8) / bits
  const zero = 2 ** (bits - 1)
  const [stored, factors] = [values.data as Uint8Array, scales.data as Float32Array]
  for (let k = 0; k < data.length; k++) {
    const value = bits === 8 ? stored[k] : (stored[Math.floor(k / 2)] >> (4 * (k % 2))) & 15
    data[k] = (value - zero) * factors[Math.floor(k / block)]
  }
  if (isTable(spec)) return { dtype: 'float32', shape: spec.shape, data }
  return transposeMatrix({
    dtype: 'float32',
    shape: [...spec.shape.slice(0, -2), spec.shape.at(-1)!, spec.shape.at(-2)!],
    data,
  })
}

/** An embedding lies turned round as it is: a row for each output. */
export const isTable = ({ path }: Pick<ParameterSpec, 'path'>): boolean => path === 'token_embedder/embedding'

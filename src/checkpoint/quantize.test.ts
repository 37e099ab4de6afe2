import { describe, expect, it } from 'vitest'
import { hostFrom } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { fromHost } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { embed } from '../nn/embedding.js'
import { wholeKernel } from '../nn/quantized.js'
import type { ParameterRole } from '../model/parameters.js'
import { transposeMatrix } from './layout.js'
import { blockTypes, dequantizeHost, quantizeBlocks, quantizeColumns, quantizedTypes } from './quantize.js'
import type { Bits, QuantizedTensor, QuantizedTypes } from './quantize.js'

const random = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Float32Array.from(
      { length: shape.reduce((n, d) => n * d, 1) },
      (_, i) => Math.sin(i * i * 0.37 + i) * (1 + (i % 7)),
    ),
  )
type Spec = Parameters<typeof quantizeColumns>[0]
const spec = (role: ParameterRole, shape: number[]): Spec => ({ path: `a/${role}`, role, shape })
const kernel = spec('kernel', [64, 6])
const experts = spec('expertKernel', [3, 48, 16])
const table = spec('embedding', [11, 32])

interface Form {
  bits: Bits
  types: (at: Spec) => QuantizedTypes | null
  quantize: (at: Spec, tensor: HostTensor) => QuantizedTensor | null
}
const inBlocks = (bits: Bits): Form => ({
  bits,
  types: at => blockTypes(at, bits),
  quantize: (at, tensor) => quantizeBlocks(at, at.role === 'embedding' ? tensor : transposeMatrix(tensor), bits),
})
const forms: Record<string, Form> = {
  '8 bits by column': { bits: 8, types: at => quantizedTypes(at, 8), quantize: quantizeColumns },
  '8 bits in blocks': inBlocks(8),
  '4 bits in blocks': inBlocks(4),
}

describe.each(Object.entries(forms))('%s', (_, { bits, types, quantize }) => {
  it.each([kernel, experts, table])('$role is kept to half a step, as the engine reads it', async at => {
    const tensor = random(at.shape)
    const quantized = quantize(at, tensor)!
    const { dtype, ...shapes } = types(at)!
    expect({ values: quantized.values.shape, scales: quantized.scales.shape }).toEqual(shapes)
    expect(quantized.values.dtype).toBe(dtype)
    const restored = dequantizeHost(at, quantized, bits)
    expect(restored.shape).toEqual(at.shape)
    const step = Math.max(...(quantized.scales.data as Float32Array))
    const errors = (tensor.data as Float32Array).map((x, i) => Math.abs(x - Number(restored.data[i])))
    expect(Math.max(...errors)).toBeLessThan(0.5001 * step)
    // The error of 8 or 4 bits must show, or this test could not fail.
    expect(Math.max(...errors)).toBeGreaterThan(0.2 * step)
    const inEngine = { values: fromHost(quantized.values), scales: fromHost(quantized.scales) }
    const engine =
      at === table
        ? embed(inEngine, np.arange(11, 'int32'), 32, 'float32')
        : wholeKernel(inEngine, at.shape[at.shape.length - 2])
    expect(await engine.numbers()).toEqual([...(restored.data as Float32Array)])
  })

  it('norms, routers and odd kernels stay as they are', () => {
    for (const at of [spec('norm', [64]), spec('router', [64, 8]), spec('kernel', [36, 8])]) {
      expect(types(at)).toBeNull()
      expect(quantize(at, random(at.shape.length === 1 ? [1, ...at.shape] : at.shape))).toBeNull()
    }
  })

  it.each([Infinity, -Infinity, NaN])('%d is refused', value => {
    const tensor = random([64, 6])
    ;(tensor.data as Float32Array)[70] = value
    expect(() => quantize(kernel, tensor)).toThrow('a/kernel has an element that is not finite')
  })

  it('zeros are zeros', () => {
    const zeros = quantize(kernel, hostFrom('float32', [64, 6], new Float32Array(384)))!
    expect(new Set(dequantizeHost(kernel, zeros, bits).data as Float32Array)).toEqual(new Set([0]))
  })
})

it('8 bits have one scale for each output', () => {
  const [matrix, first, second] = [
    spec('kernel', [16, 2]),
    new Float32Array(16).fill(1),
    new Float32Array(16).fill(-50),
  ]
  const { values, scales } = quantizeColumns(
    matrix,
    hostFrom(
      'float32',
      [16, 2],
      Array.from({ length: 32 }, (_, k) => (k % 2 === 0 ? first : second)[k >> 1]),
    ),
  )!
  expect([...(scales.data as Float32Array)]).toEqual([1 / 127, 50 / 127].map(Math.fround))
  expect(new Set(values.data as Int8Array)).toEqual(new Set([127, -127]))
  expect(quantizedTypes(experts, 8)).toEqual({ dtype: 'int8', values: [3, 48, 16], scales: [3, 16] })
  expect(quantizedTypes(table, 8)).toEqual({ dtype: 'int8', values: [11, 32], scales: [11] })
})

it('blocks have at most 128 inputs, in 4 bits 32', () => {
  expect(blockTypes(experts, 8)).toEqual({ dtype: 'uint8', values: [3, 16, 3, 16], scales: [3, 16, 3] })
  expect(blockTypes(experts, 4)).toEqual({ dtype: 'uint8', values: [3, 16, 3, 8], scales: [3, 16, 3] })
  expect(blockTypes(spec('outputProjection', [256, 10]), 8)).toEqual({
    dtype: 'uint8',
    values: [10, 2, 128],
    scales: [10, 2],
  })
  expect(blockTypes(spec('outputProjection', [256, 10]), 4)).toEqual({
    dtype: 'uint8',
    values: [10, 8, 16],
    scales: [10, 8],
  })
})

import { describe, expect, it } from 'vitest'
import { hostFrom } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { fromHost } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { dequantize } from '../nn/quantized.js'
import type { ParameterRole } from '../model/parameters.js'
import { transposeMatrix } from './layout.js'
import { dequantizeHost, quantize, quantizedShapes } from './quantize.js'

const random = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Float32Array.from(
      { length: shape.reduce((n, d) => n * d, 1) },
      (_, i) => Math.sin(i * i * 0.37 + i) * (1 + (i % 7)),
    ),
  )
const spec = (role: ParameterRole, shape: number[]): Parameters<typeof quantize>[0] => ({
  path: `a/${role}`,
  role,
  shape,
})
const kernel = spec('kernel', [64, 6])
const experts = spec('expertKernel', [3, 48, 16])
const table = spec('embedding', [11, 32])

describe.each([8, 4] as const)('in %i bits', bits => {
  it.each([kernel, experts, table])('$role is kept to half a step, as the engine reads it', async at => {
    const tensor = random(at.shape)
    const quantized = quantize(at, at === table ? tensor : transposeMatrix(tensor), bits)!
    const types = quantizedShapes(at, bits)!
    expect([quantized.values.shape, quantized.scales.shape]).toEqual([types.values, types.scales])
    const restored = dequantizeHost(at, quantized, bits)
    expect(restored.shape).toEqual(at.shape)
    const step = Math.max(...(quantized.scales.data as Float32Array))
    const errors = (tensor.data as Float32Array).map((x, i) => Math.abs(x - Number(restored.data[i])))
    expect(Math.max(...errors)).toBeLessThan(0.5001 * step)
    // So coarse is it, and no finer: or the test would say nothing.
    expect(Math.max(...errors)).toBeGreaterThan(0.2 * step)
    const engine = dequantize({ values: fromHost(quantized.values), scales: fromHost(quantized.scales) }, bits)
    expect(await (at === table ? engine : np.swapaxes(engine, -1, -2)).numbers()).toEqual([
      ...(restored.data as Float32Array),
    ])
  })

  it('norms, routers and odd kernels stay as they are', () => {
    for (const at of [spec('norm', [64]), spec('router', [64, 8]), spec('kernel', [36, 8])]) {
      expect(quantizedShapes(at, bits)).toBeNull()
      expect(quantize(at, random(at.shape), bits)).toBeNull()
    }
  })

  it('what is not finite is refused', () => {
    const tensor = random([6, 64])
    ;(tensor.data as Float32Array)[70] = Infinity
    expect(() => quantize(kernel, tensor, bits)).toThrow('a/kernel has an element that is not finite')
  })

  it('a block of zeros is zeros', () => {
    const restored = dequantizeHost(
      kernel,
      quantize(kernel, hostFrom('float32', [6, 64], new Float32Array(384)), bits)!,
      bits,
    )
    expect(new Set(restored.data as Float32Array)).toEqual(new Set([0]))
  })
})

it('kernels have one scale for each block of at most 128 inputs, in 4 bits 32', () => {
  expect(quantizedShapes(experts, 8)).toEqual({ values: [3, 16, 3, 16], scales: [3, 16, 3] })
  expect(quantizedShapes(experts, 4)).toEqual({ values: [3, 16, 3, 8], scales: [3, 16, 3] })
  expect(quantizedShapes(spec('outputProjection', [256, 10]), 8)).toEqual({
    values: [10, 2, 128],
    scales: [10, 2],
  })
  expect(quantizedShapes(spec('outputProjection', [256, 10]), 4)).toEqual({
    values: [10, 8, 16],
    scales: [10, 8],
  })
})

import { describe, expect, it } from 'vitest'
import { hostTensor } from '../base/host-tensor.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { makeProgram } from '../engine/api/transforms.js'
import { toGraph } from '../engine/compile/onnx/model.js'
import { embed } from './embedding.js'
import { raggedDot } from './moe/ragged-dot.js'
import { dequantizeBlocks, product } from './quantized.js'
import type { QuantizedKernel } from './quantized.js'

/** A kernel of any values and scales. */
function kernelOf(bits: number, leading: number[], blocks: number, block: number, seed = 1): QuantizedKernel {
  const shape = [...leading, blocks, (block * bits) / 8]
  const size = shape.reduce((n, d) => n * d, 1)
  return {
    values: fromHost(
      hostTensor(
        'uint8',
        shape,
        Uint8Array.from({ length: size }, (_, i) => (i * 7919 + seed * 31 + (i >> 3)) % 256),
      ),
    ),
    scales: random.uniform(random.key(seed), [...leading, blocks], { minval: 0.001, maxval: 0.01 }),
  }
}
const noise = (seed: number, ...shape: number[]): Tensor => random.normal(random.key(seed), shape)

/** The difference of two arrays relative to the expected one. */
async function distance(actual: Tensor, expected: Tensor): Promise<number> {
  const [a, b] = [await actual.numbers(), await expected.numbers()]
  expect(a.length).toBe(b.length)
  return Math.hypot(...a.map((x, i) => x - b[i])) / Math.hypot(...b)
}

describe('kernels in fewer bits', () => {
  it('hold (value - zero) * scale, two to a byte with 4 bits, the first in the low half', async () => {
    const values = (...bytes: number[]): Tensor => fromHost(hostTensor('uint8', [1, 2, 2], Uint8Array.from(bytes)))
    const scales = np.array([[2, 10]])
    expect(await dequantizeBlocks({ values: values(128, 255, 0, 127), scales }, 8).numbers()).toEqual([
      0, 254, -1280, -10,
    ])
    expect(await dequantizeBlocks({ values: values(0x98, 0x0f, 0x10, 0x78), scales }, 4).numbers()).toEqual([
      0, 2, 14, -16, -80, -70, 0, -10,
    ])
  })

  it.each([
    [8, 128],
    [4, 32],
  ])('multiply like their dequantized values, with %i bits', async (bits, block) => {
    const kernel = kernelOf(bits, [48], 2, block)
    const x = noise(2, 5, 2 * block)
    const expected = np.matmul(x, np.transpose(dequantizeBlocks(kernel, bits)))
    // The tolerance covers x, which is rounded to 8 bits too.
    expect(await distance(jit((y: Tensor) => product(y, kernel))(x), expected)).toBeLessThan(0.01)
    expect(toGraph(makeProgram((y: Tensor) => product(y, kernel))(x)).nodes.map(n => n.op)).toContain('MatMulNBits')
    const odd = kernelOf(bits, [48], 2, 24)
    const short = noise(2, 5, 48)
    expect(
      await distance(product(short, odd), np.matmul(short, np.transpose(dequantizeBlocks(odd, bits)))),
    ).toBeLessThan(1e-6)
  })

  it.each([
    [8, 128],
    [4, 32],
  ])('are what groups of rows multiply with, with %i bits', async (bits, block) => {
    const kernels = kernelOf(bits, [4, 48], 2, block)
    const x = noise(4, 9, 2 * block)
    const sizes = np.array([3, 0, 5, 0], 'int32')
    const expected = raggedDot(x, np.swapaxes(dequantizeBlocks(kernels, bits), 1, 2), sizes)
    const f = jit((y: Tensor) => raggedDot(y, kernels, sizes))
    expect(await distance(f(x), expected)).toBeLessThan(0.01)
    expect(toGraph(makeProgram(f)(x)).nodes.map(n => n.op)).toContain('RaggedDot')
    const odd = kernelOf(bits, [4, 48], 2, 24)
    const short = noise(4, 9, 48)
    expect(
      await distance(
        raggedDot(short, odd, sizes),
        raggedDot(short, np.swapaxes(dequantizeBlocks(odd, bits), 1, 2), sizes),
      ),
    ).toBeLessThan(1e-6)
  })

  it('are rows of an embedding', async () => {
    const table = kernelOf(8, [10], 2, 16)
    const tokens = np.array([[3, 9]], 'int32')
    expect(await embed(table, tokens, 32, 'float32').numbers()).toEqual(
      await np.take(dequantizeBlocks(table, 8), tokens, 0).numbers(),
    )
  })
})

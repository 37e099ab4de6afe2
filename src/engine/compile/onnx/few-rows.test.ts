import { expect, it } from 'vitest'
import { allocate, dtypes } from '../../../base/dtypes.js'
import { bytesOf, hostFrom, sizeOf } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { gelu, relu } from '../../../nn/activations.js'
import { blockProduct, integerProduct } from '../../../nn/quantized.js'
import type { QuantizedKernel } from '../../../nn/quantized.js'
import * as np from '../../api/np.js'
import type { Tensor } from '../../api/tensor.js'
import { fromHost } from '../../api/tensor.js'
import { makeProgram } from '../../api/transforms.js'
import type { Buffer, FewRows } from '../backend.js'
import type { Program } from '../../program/program.js'
import { referenceBackend } from '../reference/backend.js'
import { sizedProgram } from '../sized-program.js'
import { PageArenas } from '../wasm/page-arenas.js'
import { OnnxBackend } from './backend.js'
import { forFewRows, PageProducts } from './few-rows.js'
import { nodeSessions } from './node.js'

type Bits = 8 | 4

/** Tensors in the memory of pages. */
function inArena(tensors: readonly HostTensor[]): HostTensor[] {
  const arenas = new PageArenas(tensors.reduce((sum, { data }) => sum + data.byteLength + 64, 0))
  return tensors.map(tensor => {
    const { buffer, byteOffset } = arenas.allocate(tensor.data.byteLength)
    const data = dtypes[tensor.dtype].make(buffer, byteOffset, tensor.data.length)
    bytesOf({ ...tensor, data }).set(bytesOf(tensor))
    return { ...tensor, data }
  })
}

function filled(dtype: 'int8' | 'uint8' | 'float32', shape: readonly number[], of: (i: number) => number): HostTensor {
  const data = allocate(dtype, sizeOf(shape)) as Int8Array
  for (let i = 0; i < data.length; i++) data[i] = of(i)
  return { dtype, shape, data }
}

/** The types of the scales and the values of a kernel. */
const kernelShapes = (bits: Bits, inputs: number, outputs: number): ['float32' | 'int8' | 'uint8', number[]][] =>
  bits === 8
    ? [
        ['float32', [outputs]],
        ['int8', [inputs, outputs]],
      ]
    : [
        ['float32', [outputs, inputs / 32]],
        ['uint8', [outputs, inputs / 32, 16]],
      ]

/** The scales and the values of a kernel. */
function kernel(bits: Bits, inputs: number, outputs: number): HostTensor[] {
  const [scales, values] = kernelShapes(bits, inputs, outputs)
  return bits === 8
    ? [
        filled(...scales, i => 0.001 * (1 + (i % 13))),
        filled(...values, i => (i % 5 === 0 ? 127 - 254 * (i % 2) : ((i * 7919 + (i >> 3)) % 255) - 127)),
      ]
    : [
        filled(...scales, i => 0.01 * (1 + (i % 13))),
        filled(...values, i => (i % 5 === 0 ? 255 * (i % 2) : (i * 7919 + (i >> 3)) % 256)),
      ]
}

/** Rows of every kind: element `i` of each. */
const kinds: readonly ((i: number) => number)[] = [
  i => Math.sin(i * i * 0.37 + i),
  i => (i === 0 ? 127 : (i % 20) + 0.5),
  i => 3e9 * Math.cos(i),
  i => (i === 17 ? -1e-45 : 1e-40 * Math.sin(i)),
]
const rowsOf = (rows: number, inputs: number): HostTensor =>
  hostFrom(
    'float32',
    [rows, inputs],
    Array.from({ length: rows * inputs }, (_, i) => kinds[Math.floor(i / inputs) % 4](i % inputs)),
  )

/** An expert: a product, relu, another product; or gated. */
function expertOf(bits: Bits): (x: Tensor, ...parts: Tensor[]) => Tensor {
  const multiply = bits === 8 ? integerProduct : blockProduct(4)
  return (x, ...parts) => {
    const kernels = Array.from({ length: parts.length / 2 }, (_, i): QuantizedKernel => ({
      scales: parts[2 * i],
      values: parts[2 * i + 1],
    }))
    const [first, second] = kernels.slice(0, -1).map(k => multiply(x, k))
    return multiply(second ? np.multiply(gelu(first), second) : relu(first), kernels.at(-1)!)
  }
}
function partsOf(bits: Bits, inputs: number, hidden: number, isGated: boolean): HostTensor[] {
  const into = kernel(bits, inputs, hidden)
  const gate = isGated ? kernel(bits, inputs, hidden).map(t => (t.dtype === 'float32' ? t : reversed(t))) : []
  return [...into, ...gate, ...kernel(bits, hidden, inputs)]
}
const reversed = (tensor: HostTensor): HostTensor => ({ ...tensor, data: tensor.data.slice().reverse() })

const programOf = (bits: Bits, operands: readonly HostTensor[]): Program =>
  makeProgram(expertOf(bits))(...(operands.map(fromHost) as [Tensor, ...Tensor[]]))

const backend = new OnnxBackend(nodeSessions())
const put = (operands: readonly HostTensor[]): Buffer[] => operands.map(tensor => backend.put(tensor))
const few = (bits: Bits, operands: readonly HostTensor[], threads = 1): Promise<FewRows | null> =>
  forFewRows(programOf(bits, operands), new PageProducts(), nodeSessions(threads), p => backend.compile(p))
const dataOf = async ([result]: readonly Buffer[]): Promise<Float32Array> => (await result.read()).data as Float32Array

it.each([
  [1, 32, 48, false],
  [1, 768, 80, false],
  [1, 768, 80, true],
  [3, 2048, 4096, true],
  [4, 4096, 2048, false],
])('%i rows of %i elements times kernels of 8 bits in pages: the bits of the compiled program', async (...sizes) => {
  const [rows, inputs, hidden, isGated] = sizes
  const parts = partsOf(8, inputs, hidden, isGated)
  const x = rowsOf(rows, inputs)
  const expected = await (await backend.compile(programOf(8, [x, ...parts]))).run(put([x, ...parts]))
  const fast = (await few(8, [x, ...parts]))!
  for (let i = 0; i < 2; i++)
    expect(await dataOf((await fast.run(put([x, ...inArena(parts)])))!)).toEqual(await dataOf(expected))
  await fast.release()
})

it.each([
  [1, 32, 64, false],
  [1, 768, 96, true],
  [3, 96, 64, false],
  [7, 64, 1024, true],
  [32, 64, 32, false],
])('%i rows of %i elements times kernels of 4 bits in pages: as with weights of a session', async (...sizes) => {
  const [rows, inputs, hidden, isGated] = sizes
  const parts = partsOf(4, inputs, hidden, isGated)
  const x = rowsOf(rows, inputs)
  // Rounded to 8 bits in other ways for more rows: so row by row.
  const compiled = await backend.compileWithWeights(
    [3, 101, 1009].map(n => programOf(4, [rowsOf(n, inputs), ...parts])) as [Program, Program, Program],
    [null, ...put(parts)],
  )
  const one = await compiled.at(sizedProgram(programOf(4, [rowsOf(1, inputs), ...parts])))
  const y = await dataOf((await (await few(4, [x, ...parts]))!.run(put([x, ...inArena(parts)])))!)
  for (let row = 0; row < rows; row++) {
    const of = { ...x, shape: [1, inputs], data: x.data.slice(row * inputs, (row + 1) * inputs) }
    const expected = await dataOf(await one.run(put([of])))
    const size = Math.max(...expected.map(Math.abs))
    expected.forEach((value, i) => expect(Math.abs(y[row * inputs + i] - value)).toBeLessThanOrEqual(2e-5 * size))
  }
})

it('an element of 4 bits, of each value and at each place, is what nn/quantized.ts says', async () => {
  const scales = filled('float32', [32, 1], i => 2 ** (i % 5))
  const values = filled('uint8', [32, 1, 16], i => (i * 37 + (i >> 4)) % 256)
  // Products of one element each are exact: the identity times the kernel.
  const identity = filled('float32', [32, 32], i => (i % 33 === 0 ? 127 : 0))
  const program = makeProgram((x: Tensor, s: Tensor, v: Tensor) => blockProduct(4)(x, { scales: s, values: v }))(
    ...([identity, scales, values].map(fromHost) as [Tensor, Tensor, Tensor]),
  )
  const fast = (await forFewRows(program, new PageProducts(), nodeSessions(1), p => backend.compile(p)))!
  const exact = await referenceBackend.compile(program)
  const inputs = [identity, scales, values].map(t => referenceBackend.put(t))
  const y = await dataOf((await fast.run(put([identity, ...inArena([scales, values])])))!)
  expect(y).toEqual(await dataOf(await exact.run(inputs)))
})

it('what is between the products has a session of one thread', async () => {
  const sessions = nodeSessions(2)
  const made: (boolean | undefined)[] = []
  const recording = new OnnxBackend({
    ...sessions,
    create: (graph, options) => {
      made.push(options.oneThread)
      return sessions.create(graph, options)
    },
  })
  const gated = (await recording.forFewRows(programOf(4, [rowsOf(2, 32), ...partsOf(4, 32, 64, true)])))!
  expect(made).toEqual([true])
  await gated.release()
})

it.each([8, 4] as const)('kernels of %i bits in other memory are left to the compiled program', async bits => {
  const operands = [rowsOf(1, 32), ...partsOf(bits, 32, 64, false)]
  expect(await (await few(bits, operands))!.run(put(operands))).toBeNull()
})

it.each([
  [8, [0, NaN, Infinity]],
  [4, [NaN, Infinity]],
] as const)(
  'rows times kernels of %i bits that are not finite, or 0 with 8 bits, are left to it too',
  async (...of) => {
    const [bits, values] = of
    const parts = inArena(partsOf(bits, 32, 64, false))
    for (const value of values) {
      const x = filled('float32', [1, 32], i => (i === 20 ? value : 0))
      expect(await (await few(bits, [x, ...parts]))!.run(put([x, ...parts]))).toBeNull()
    }
  },
)

it('more rows, other sizes, and many threads are left to the compiled program', async () => {
  const taken = async (bits: Bits, rows: number, inputs: number, hidden: number, threads = 1): Promise<boolean> => {
    // Only the shapes matter.
    const kernels = [kernelShapes(bits, inputs, hidden), kernelShapes(bits, hidden, inputs)].flat()
    const parts = kernels.map(([dtype, shape]) => ({ dtype, shape, data: allocate(dtype, sizeOf(shape)) }))
    return (await few(bits, [filled('float32', [rows, inputs], i => i), ...parts], threads)) !== null
  }
  expect(await taken(8, 1, 32, 48, 64)).toBe(true)
  expect(await taken(8, 2, 32, 48)).toBe(false)
  expect(await taken(8, 1, 24, 48)).toBe(false)
  expect(await taken(8, 1, 32, 40)).toBe(false)
  expect(await taken(8, 1, 16, 2 ** 18)).toBe(false)
  expect(await taken(8, 2, 2048, 4096, 2)).toBe(true)
  expect(await taken(8, 3, 2048, 4096, 2)).toBe(false)
  expect(await taken(8, 5, 2048, 4096)).toBe(false)
  expect(await taken(4, 32, 32, 64, 64)).toBe(true)
  expect(await taken(4, 33, 32, 64)).toBe(false)
})

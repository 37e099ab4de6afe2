import { expect, it } from 'vitest'
import { hostFrom } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import { relu } from '../../../nn/activations.js'
import { integerProduct } from '../../../nn/quantized.js'
import type { Tensor } from '../../api/tensor.js'
import { fromHost } from '../../api/tensor.js'
import { makeProgram } from '../../api/transforms.js'
import type { Buffer, Executable } from '../backend.js'
import { IntegerProducts } from '../wasm/integer-product.js'
import { PageArenas } from '../wasm/page-arenas.js'
import { OnnxBackend } from './backend.js'
import { forFewRows } from './few-rows.js'
import { nodeSessions } from './node.js'

/** What stands for the compiled program, where that must not run. */
const refused: Executable = {
  stats: { nodes: 0, generators: 0, fusedLoops: 0, inPlaceBytes: 0, weightBytes: 0 },
  run: () => Promise.reject(new Error('the compiled program has run')),
  release: async () => undefined,
}

/** The tensor, in the memory of pages. */
function inArena(tensor: HostTensor): HostTensor {
  const bytes = new PageArenas(tensor.data.byteLength).allocate(tensor.data.byteLength)
  const data = new Int8Array(bytes.buffer, bytes.byteOffset, tensor.data.length)
  data.set(tensor.data as Int8Array)
  return { ...tensor, data }
}

const kernel = (inputs: number, outputs: number): HostTensor =>
  hostFrom(
    'int8',
    [inputs, outputs],
    Array.from({ length: inputs * outputs }, (_, i) =>
      i % 5 === 0 ? 127 - 254 * (i % 2) : ((i * 7919 + (i >> 3)) % 255) - 127,
    ),
  )
const scales = (outputs: number): HostTensor =>
  hostFrom(
    'float32',
    [outputs],
    Array.from({ length: outputs }, (_, i) => 0.001 * (1 + (i % 13))),
  )

/** Rows of every kind: element `i` of each. */
const kinds: readonly ((i: number) => number)[] = [
  i => Math.sin(i * i * 0.37 + i),
  i => (i === 0 ? 127 : (i % 20) + 0.5),
  i => 3e28 * Math.cos(i),
  i => (i === 17 ? -1e-45 : 1e-40 * Math.sin(i)),
]
const rowsOf = (rows: number, inputs: number): HostTensor =>
  hostFrom(
    'float32',
    [rows, inputs],
    Array.from({ length: rows * inputs }, (_, i) => kinds[Math.floor(i / inputs)](i % inputs)),
  )

/** An expert: a product, relu, another product. */
const expert = (x: Tensor, s: Tensor, wi: Tensor, t: Tensor, wo: Tensor): Tensor =>
  integerProduct(relu(integerProduct(x, { values: wi, scales: s })), { values: wo, scales: t })
const operandsOf = (rows: number, inputs: number, hidden: number): HostTensor[] => [
  rowsOf(rows, inputs),
  scales(hidden),
  kernel(inputs, hidden),
  scales(inputs),
  kernel(hidden, inputs),
]
const programOf = (operands: readonly HostTensor[]): ReturnType<ReturnType<typeof makeProgram>> =>
  makeProgram(expert)(...(operands.map(fromHost) as Parameters<typeof expert>))

const backend = new OnnxBackend(nodeSessions())
const few = (operands: readonly HostTensor[], threads = 1): Executable | null =>
  forFewRows(programOf(operands), new IntegerProducts(), refused, nodeSessions(threads))
const put = (operands: readonly HostTensor[]): Buffer[] => operands.map(tensor => backend.put(tensor))
const inArenas = (operands: readonly HostTensor[]): HostTensor[] =>
  operands.map(operand => (operand.dtype === 'int8' ? inArena(operand) : operand))

it.each([
  [1, 32, 48],
  [1, 768, 80],
  [2, 16, 16],
  [3, 96, 64],
  [4, 64, 1024],
])('%i rows of %i elements times kernels in pages: the bits of the compiled program', async (rows, inputs, hidden) => {
  const operands = operandsOf(rows, inputs, hidden)
  const [expected] = await (await backend.compile(programOf(operands))).run(put(operands))
  const [result] = await few(operands)!.run(put(inArenas(operands)))
  expect((await result.read()).data).toEqual((await expected.read()).data)
})

it('kernels in other memory, and rows that are 0 or not finite, are left to the compiled program', async () => {
  const operands = operandsOf(2, 32, 48)
  await expect(few(operands)!.run(put(operands))).rejects.toThrow('the compiled program has run')
  for (const value of [0, NaN, Infinity]) {
    const [{ data }, ...others] = inArenas(operands)
    const x = hostFrom(
      'float32',
      [2, 32],
      (data as Float32Array).map((y, i) => (i < 32 ? y : i === 40 ? value : 0)),
    )
    await expect(few(operands)!.run(put([x, ...others]))).rejects.toThrow('the compiled program has run')
  }
})

it('more rows, other sizes, and many threads are left to the compiled program', () => {
  expect(few(operandsOf(4, 32, 48), 2)).not.toBeNull()
  expect(few(operandsOf(4, 32, 48), 3)).toBeNull()
  expect(few(operandsOf(1, 32, 48), 16)).toBeNull()
  expect(few(operandsOf(4, 24, 48))).toBeNull()
  expect(few(operandsOf(4, 32, 40))).toBeNull()
  expect(few(operandsOf(4, 16, 2 ** 16))).toBeNull()
  const many = { ...rowsOf(1, 32), shape: [5, 32], data: new Float32Array(5 * 32) }
  expect(few([many, ...operandsOf(1, 32, 48).slice(1)])).toBeNull()
})

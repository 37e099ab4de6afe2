import { expect, it, vi } from 'vitest'
import { sizeOf } from '../../base/host-tensor.js'
import { integerProduct } from '../../nn/quantized.js'
import type { Program } from '../program/program.js'
import { defaultEngine } from './engine.js'
import * as np from './np.js'
import { fromHost } from './tensor.js'
import type { Tensor } from './tensor.js'
import { makeProgram } from './transforms.js'

const { turn } = vi.hoisted(() => ({ turn: vi.fn(async () => undefined) }))

// The sessions of a machine with three processors.
vi.mock('#onnx-sessions', async importOriginal => {
  const original = await importOriginal<typeof import('../compile/onnx/node.js')>()
  return { ...original, defaultSessions: () => ({ ...original.nodeSessions(3), turn }) }
})

it('the default backend decides about few rows by the threads of its sessions, and lets the event loop turn', async () => {
  const { backend } = defaultEngine()
  // Loads ONNX Runtime, as the segments of a model do before its experts.
  await np.add(np.ones([2]), 1).data()
  const [inputs, outputs] = [2048, 4096]
  const operands = (rows: number): [Tensor, Tensor, Tensor] => [
    fromHost({ dtype: 'float32', shape: [rows, inputs], data: new Float32Array(rows * inputs) }),
    fromHost({ dtype: 'float32', shape: [outputs], data: new Float32Array(outputs) }),
    fromHost({ dtype: 'int8', shape: [inputs, outputs], data: new Int8Array(inputs * outputs) }),
  ]
  const program = (rows: number): Program =>
    makeProgram((x: Tensor, scales: Tensor, values: Tensor) => integerProduct(x, { scales, values }))(...operands(rows))
  // A large kernel is for one row beside three threads, and for up to four rows beside one.
  expect(await backend.forFewRows!(program(2))).toBeNull()
  const one = (await backend.forFewRows!(program(1)))!
  expect(turn).not.toHaveBeenCalled()
  const buffers = program(1).inputs.map(({ aval: { dtype, shape } }) =>
    backend.put({ dtype, shape, data: new (dtype === 'int8' ? Int8Array : Float32Array)(sizeOf(shape)) }),
  )
  await one.run(buffers)
  expect(turn).toHaveBeenCalledTimes(1)
  await one.release()
})

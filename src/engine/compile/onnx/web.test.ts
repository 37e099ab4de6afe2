import { afterEach, expect, it, vi } from 'vitest'
import { hostFrom } from '../../../base/host-tensor.js'
import type { GraphInfo } from './proto.js'
import { webSessions } from './web.js'

// onnxruntime-web runs in Node too, on one thread. test/browser runs it in a browser,
// test/conformance/backend/web.test.ts runs all of the engine on it.

const value = (name: string): { name: string; dtype: 'float32'; shape: number[] } => ({
  name,
  dtype: 'float32',
  shape: [3],
})
const negate: GraphInfo = {
  nodes: [{ op: 'Neg', domain: '', inputs: ['x0'], outputs: ['y0'], attributes: {} }],
  initializers: new Map(),
  inputs: [value('x0')],
  outputs: [value('y0')],
}

afterEach(() => {
  vi.doUnmock('onnxruntime-web/wasm')
})

it('writes results into the memory it is given', async () => {
  const session = await webSessions({ threads: 1 }).create(negate, { keepMemory: false })
  const y = hostFrom('float32', [3], [0, 0, 0])
  await session.run([hostFrom('float32', [3], [1, 2, 3])], [y])
  expect(y.data).toEqual(Float32Array.of(-1, -2, -3))
})

it('says what to install if onnxruntime-web is missing', async () => {
  vi.doMock('onnxruntime-web/wasm', () => {
    throw new Error('not found')
  })
  await expect(webSessions().create(negate, { keepMemory: false })).rejects.toThrow(
    'onnxruntime-web, which runs programs in the browser, cannot be loaded: install it beside switchyard-ml',
  )
})

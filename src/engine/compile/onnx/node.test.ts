import { expect, it } from 'vitest'
import { hostFrom, hostTensor } from '../../../base/host-tensor.js'
import { loadRuntime } from './load-runtime.js'
import { nodeSessions, withStop } from './node.js'
import { encodeModel } from './proto.js'
import type { GraphInfo } from './proto.js'

const length = 2 ** 20
const value = (name: string): { name: string; dtype: 'float32'; shape: number[] } => ({
  name,
  dtype: 'float32',
  shape: [length],
})
const graph = (op: string): GraphInfo => ({
  nodes: [{ op, domain: '', inputs: ['x0'], outputs: ['y0'], attributes: {} }],
  initializers: new Map(),
  inputs: [value('x0')],
  outputs: [value('y0')],
})

it('writes results into the memory it is given, and makes no copy of them', async () => {
  const session = await nodeSessions(1).create(graph('Neg'), { keepMemory: false })
  const x = hostFrom(
    'float32',
    [length],
    Array.from({ length }, (_, i) => i),
  )
  const y = hostTensor('float32', [length], new Float32Array(length))
  await session.run([x], [y])
  expect(y.data[length - 1]).toBe(1 - length)
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 3; i++) await session.run([x], [y])
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * length)
})

it('relies on ONNX Runtime to give up at a result that is no tensor, when the others are written', async () => {
  const ort = await loadRuntime()
  const session = await ort.InferenceSession.create(encodeModel(withStop(graph('Neg'))), {
    executionProviders: ['cpu'],
  })
  const [x, y] = [new Float32Array(length).fill(3), new Float32Array(length)]
  const tensor = (data: Float32Array): InstanceType<typeof ort.Tensor> => new ort.Tensor('float32', data, [length])
  const results = session.run({ x0: tensor(x) }, { stop: null, y0: tensor(y) })
  // Another version may copy the results, or give up earlier: see `withStop` for what that costs and for what to
  // change.
  await expect(results).rejects.toThrow(/^Non tensor type/)
  expect(y.every(v => v === -3)).toBe(true)
})

it('passes on what is wrong with a run', async () => {
  const session = await nodeSessions(1).create(graph('Neg'), { keepMemory: false })
  const short = hostFrom('float32', [1], [1])
  await expect(session.run([short], [short])).rejects.toThrow('Got: 1 Expected: 1048576')
})

it.each([
  ['no weights', {}],
  ['an empty map of weights', { weights: new Map() }],
])(
  'does not compute constants when a session of a graph with %s is made, which would keep them',
  async (_, weights) => {
    const large = 2 ** 26
    const expand: GraphInfo = {
      nodes: [{ op: 'Expand', domain: '', inputs: ['one', 'shape'], outputs: ['y0'], attributes: {} }],
      initializers: new Map([
        ['one', hostFrom('float32', [], [1])],
        ['shape', hostFrom('int64', [1], [large])],
      ]),
      inputs: [],
      outputs: [{ ...value('y0'), shape: [large] }],
      ...weights,
    }
    const before = process.memoryUsage.rss()
    const session = await nodeSessions(1).create(expand, { keepMemory: false })
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 * large)
    await session.release()
  },
)

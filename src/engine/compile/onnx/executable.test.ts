import { expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import { aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { traceClosed } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import type { Buffer } from '../backend.js'
import { cutUpdate } from '../segments.js'
import { Arenas } from '../wasm/arena.js'
import { loopLimits } from '../wasm/codegen.js'
import { Loops } from '../wasm/loop.js'
import { OnnxBackend } from './backend.js'
import { HostBuffer, StateMemory } from './buffer.js'
import { OnnxExecutable } from './executable.js'
import { donationOf } from './in-place.js'
import { nodeSessions } from './node.js'

const type = aval('float32', [4])
const array = (...values: number[]): HostBuffer => new HostBuffer(type, hostFrom('float32', type.shape, values))

it('moves all arrays of a loop to another arena where those that are placed leave no room', async () => {
  const memory = new StateMemory(new Arenas(2 ** 16))
  const donated = [true, false]
  const segments = cutUpdate(
    traceClosed([type, type], ([state, x]) => [ops.sub(state, x)]),
    donated,
    loopLimits,
  )
  const update = new OnnxExecutable(
    memory,
    new Loops(),
    null,
    segments,
    { nodes: 0, generators: 0, fusedLoops: 1, inPlaceBytes: 16, weightBytes: 0 },
    donationOf(segments, donated),
  )
  const step = async (state: HostBuffer, x: HostBuffer): Promise<HostBuffer> =>
    (await update.run([state, x]))[0] as HostBuffer

  const placed = await step(array(10, 20, 30, 40), array(1, 2, 3, 4))
  const first = placed.block!
  while (first.arena.allocate(1)) continue
  const moved = await step(placed, array(1, 1, 1, 1))
  const second = moved.block!
  expect(toNumbers(moved.tensor)).toEqual([8, 17, 26, 35])
  expect(second.arena).not.toBe(first.arena)
  // At the arena's start again: what was found there for the other array alone has been given back.
  expect(second.offset).toBe(first.offset)

  const stayed = await step(moved, array(1, 1, 1, 1))
  expect(toNumbers(stayed.tensor)).toEqual([7, 16, 25, 34])
  expect(stayed.block).toBe(second)
})

type PartWrite = (x: Value, part: Value, row: Value, column: Value) => Value

it.each<[string, PartWrite]>([
  ['a window', (x, part, row, column) => ops.dynamicUpdateSlice(x, part, [row, column])],
  [
    'rows',
    (x, part, row) =>
      ops.scatter(x, ops.reshape(row, [1, 1]), part, { axes: [0], batchDims: 0, mode: 'clip', uniqueIndices: true }),
  ],
])('writes %s into a donated array that nothing else reads, and into a copy of one that is read', async (_, write) => {
  const window = aval('float32', [1, 2])
  const state = aval('float32', [3, 2])
  const at = [aval('int32', []), aval('int32', [])]
  const run = async (readsOld: boolean): Promise<{ isSameMemory: boolean; results: number[][] }> => {
    const program = traceClosed([state, window, ...at], ([x, y, row, column]) => {
      const written = write(x, y, row, column)
      return [written, ops.neg(readsOld ? ops.add(x, written) : written)]
    })
    const backend = new OnnxBackend(nodeSessions(1))
    const update = await backend.compile(program, [true, false, false, false])
    const put = (dtype: 'float32' | 'int32', shape: number[], values: number[]): Buffer =>
      backend.put(hostFrom(dtype, shape, values))
    const rest = (row: number): Buffer[] => [
      put('float32', [1, 2], [7, 8]),
      put('int32', [], [row]),
      put('int32', [], [0]),
    ]
    // A user's own array is never written into.
    const own = hostFrom('float32', [3, 2], [1, 2, 3, 4, 5, 6])
    const [first] = await update.run([backend.put(own), ...rest(1)])
    expect(toNumbers(own)).toEqual([1, 2, 3, 4, 5, 6])
    const before = (await first.read()).data
    const results = await Promise.all((await update.run([first, ...rest(0)])).map(r => r.read()))
    return { isSameMemory: results[0].data.buffer === before.buffer, results: results.map(toNumbers) }
  }
  expect(await run(false)).toEqual({
    isSameMemory: true,
    results: [
      [7, 8, 7, 8, 5, 6],
      [-7, -8, -7, -8, -5, -6],
    ],
  })
  expect(await run(true)).toEqual({
    isSameMemory: false,
    results: [
      [7, 8, 7, 8, 5, 6],
      [-8, -10, -14, -16, -10, -12],
    ],
  })
})

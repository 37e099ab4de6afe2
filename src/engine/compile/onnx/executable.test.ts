import { expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../../base/tensor.js'
import { aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { traceClosed } from '../../program/trace.js'
import { cutUpdate } from '../segments.js'
import { Arenas, MAX_TOGETHER } from '../wasm/arena.js'
import { canFuse } from '../wasm/codegen.js'
import { Loops } from '../wasm/loop.js'
import { HostBuffer, StateMemory } from './buffer.js'
import { OnnxExecutable } from './executable.js'

const type = aval('float32', [4])
const array = (...values: number[]): HostBuffer => new HostBuffer(type, hostFrom('float32', type.shape, values))

it('moves all arrays of a loop to another arena where those that are placed leave no room', async () => {
  const memory = new StateMemory(new Arenas(2 ** 16))
  const donated = [true, false]
  const segments = cutUpdate(traceClosed([type, type], ([state, x]) => [ops.sub(state, x)]), donated, { canFuse, maxBytes: MAX_TOGETHER })
  const update = new OnnxExecutable(memory, new Loops(), null, segments, { nodes: 0, fusedLoops: 1, inPlaceBytes: 16, boundBytes: 0 }, donated)
  const step = async (state: HostBuffer, x: HostBuffer): Promise<HostBuffer> => (await update.run([state, x]))[0] as HostBuffer

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

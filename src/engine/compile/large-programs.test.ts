import { expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../base/host-tensor.js'
import { grad, makeProgram } from '../api/transforms.js'
import type { Tensor } from '../api/tensor.js'
import * as np from '../api/np.js'
import { range } from '../program/ops.js'
import { simplify } from '../transform/simplify.js'
import { longestSort, MAX_STEPS } from './onnx/chunks.js'
import { toGraphInChunks } from './onnx/model.js'
import { nodeSessions } from './onnx/node.js'
import { interpret } from './reference/interpret.js'
import { cutUpdate } from './segments.js'
import { loopLimits } from './wasm/codegen.js'

const length = 50_000
const chain =
  (equations: number) =>
  (x: Tensor): Tensor =>
    range(equations / 2).reduce(y => np.negative(np.abs(y)), x)

it('compiles a chain of 50,000 equations without deep recursion, in as many nodes and steps', () => {
  const program = makeProgram(chain(length))(np.ones([1]))
  const simple = simplify(program)
  expect(simple.equations).toHaveLength(length)
  const { main } = cutUpdate(simple, [true], loopLimits)
  const graph = toGraphInChunks(main)
  expect(graph.nodes).toHaveLength(length)
  expect(longestSort(graph)).toBeLessThan(2 * length)
  expect(String(program).split('\n')).toHaveLength(length + 2)
  expect(toNumbers(interpret(simple, [hostFrom('float32', [1], [3])])[0])).toEqual([-3])
})

it('differentiates a chain of 20,000 equations', () => {
  const gradient = makeProgram(grad((x: Tensor) => np.sum(chain(20_000)(x))))(np.ones([1]))
  const simple = simplify(gradient)
  expect(simple.equations.length).toBeLessThan(80_000)
  expect(longestSort(toGraphInChunks(simple))).toBeLessThan(MAX_STEPS)
})

it('splits an array into 1,000 parts as one program', async () => {
  const split = makeProgram((x: Tensor): Tensor[] => np.split(x, 1000))(np.zeros([2000]))
  const graph = toGraphInChunks(simplify(split))
  expect(longestSort(graph)).toBeLessThan(MAX_STEPS)
  const session = await nodeSessions(1).create(graph, { keepMemory: false })
  const parts = range(1000).map(() => hostFrom('float32', [2], [0, 0]))
  await session.run([hostFrom('float32', [2000], range(2000))], parts)
  expect(parts.flatMap(toNumbers)).toEqual(range(2000))
})

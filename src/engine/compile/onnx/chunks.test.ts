import { expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../../../base/host-tensor.js'
import type { Tensor } from '../../api/tensor.js'
import * as np from '../../api/np.js'
import { makeProgram } from '../../api/transforms.js'
import { range } from '../../program/ops.js'
import { simplify } from '../../transform/simplify.js'
import { longestSort, MAX_STEPS } from './chunks.js'
import { nodeSessions } from './node.js'
import { toGraph, toGraphInChunks } from './model.js'

/** Many products that all read the argument alone, and their sum. */
const wide =
  (width: number) =>
  (x: Tensor): Tensor =>
    range(width).reduce((sum, i) => np.add(sum, np.multiply(x, i)), x)

const graphs = (f: (x: Tensor) => Tensor | Tensor[], x: Tensor) => {
  const program = simplify(makeProgram(f)(x))
  return { whole: toGraph(program), chunked: toGraphInChunks(program) }
}

it('cuts a wide graph into chunks that take few steps to sort, and leaves other graphs alone', () => {
  const { whole, chunked } = graphs(wide(3000), np.ones([2]))
  expect(longestSort(whole)).toBeGreaterThan(MAX_STEPS)
  expect(longestSort(chunked)).toBeLessThan(MAX_STEPS / 20)
  const deep = graphs(x => range(5000).reduce(y => np.sin(y), x), np.ones([2]))
  expect(deep.chunked).toEqual(deep.whole)
})

it.each(['bool', 'bfloat16', 'float16', 'int64', 'uint32', 'uint8'] as const)(
  'computes in chunks what the whole graph does, where values of type %s pass between them',
  async dtype => {
    const parts = range(300)
    const program = makeProgram((x: Tensor): Tensor[] => {
      const equal = parts.map(i => np.astype(np.equal(x, i), dtype))
      return equal.map(e => np.astype(e, 'float32'))
    })(np.array([1, 2, 3]))
    const chunked = toGraphInChunks(program, 0)
    expect(chunked.nodes.filter(n => n.op === 'If').length).toBeGreaterThan(2)
    const session = await nodeSessions(1).create(chunked, { keepMemory: false })
    const results = parts.map(() => hostFrom('float32', [3], [9, 9, 9]))
    await session.run([hostFrom('float32', [3], [1, 2, 299])], results)
    expect(results.map(toNumbers)).toEqual(parts.map(i => [1, 2, 299].map(v => Number(v === i))))
  },
)

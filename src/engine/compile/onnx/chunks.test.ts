import { expect, it } from 'vitest'
import type { Tensor } from '../../api/tensor.js'
import { jit } from '../../api/jit.js'
import * as np from '../../api/np.js'
import { makeProgram } from '../../api/transforms.js'
import { range } from '../../program/ops.js'
import { simplify } from '../../transform/simplify.js'
import { longestSort, MAX_STEPS } from './chunks.js'
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

it('computes in chunks what the whole graph does, for values of each type that pass between them', async () => {
  const x = np.array([1, 2, 3])
  expect(await jit(wide(2000))(x).numbers()).toEqual([1, 2, 3].map(v => v * (1 + 1999_000)))
  for (const dtype of ['bool', 'bfloat16', 'float16', 'int64', 'uint32', 'uint8'] as const) {
    const f = (v: Tensor): Tensor[] => {
      const parts = range(1600).map(i => np.equal(v, i % 4).astype(dtype))
      return [...parts.slice(0, 1550).map(p => np.where(p, v, 0)), ...parts]
    }
    const { whole, chunked } = graphs(f, x)
    expect(chunked.nodes.length).toBeLessThan(whole.nodes.length / 50)
    const results = jit(f)(x)
    expect(await results[1].numbers()).toEqual([1, 0, 0])
    expect(await results[1549].numbers()).toEqual([1, 0, 0])
    expect(await results[3149].numbers()).toEqual([1, 0, 0])
  }
})

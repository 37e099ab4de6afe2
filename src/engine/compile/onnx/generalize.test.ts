import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../api/tensor.js'
import * as lax from '../../api/lax.js'
import * as np from '../../api/np.js'
import { traceTree, flattenArgs } from '../../api/tracing.js'
import { generalize } from './generalize.js'
import { toGraph } from './model.js'
import type { GraphInfo } from './proto.js'
import { nodeSessions } from './node.js'

type F = (a: Tensor, b: Tensor) => Tensor

/** A function of two vectors, at three pairs of lengths. */
const graphs = (
  f: F,
  sizes: [number, number][] = [
    [3, 5],
    [101, 211],
    [1009, 2003],
  ],
): GraphInfo[] =>
  sizes.map(([m, n]) => {
    const { values, def } = flattenArgs([np.zeros([m]), np.zeros([n])])
    return toGraph(
      traceTree(
        f as (...args: Tensor[]) => Tensor,
        def,
        values.map(v => v.aval),
      ).program,
    )
  })

/** The result at other lengths. */
async function run(graph: GraphInfo, m: number, n: number, shape: number[]): Promise<number[]> {
  const session = await nodeSessions().create(graph, { keepMemory: false })
  const vector = (length: number, start: number): { dtype: 'float32'; shape: number[]; data: Float32Array } => ({
    dtype: 'float32',
    shape: [length],
    data: Float32Array.from({ length }, (_, i) => start + i),
  })
  const y = { dtype: 'float32' as const, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }
  const inputs = [vector(m, 0), vector(n, 100)]
  await session.run(
    graph.inputs.map(({ name }) => inputs[Number(name.slice(1))]),
    [y],
  )
  return [...y.data]
}

describe('one graph for any sizes', () => {
  it('takes a constant for the size that it is, not for another one and some more', async () => {
    // The ends of the slice are b's length, and that and 2: a's grows by as much between the first two of such
    // examples.
    const f: F = (a, b) => lax.slice(np.concatenate([b, b, a]), [b.shape[0]], [b.shape[0] + 2])
    const general = generalize(
      graphs(f, [
        [101, 107],
        [103, 109],
        [1009, 2003],
      ]),
    )!
    expect(await run(general, 4, 9, [2])).toEqual([100, 101])
  })

  it('knows multiples, products and sums of sizes', async () => {
    const f: F = (a, b) =>
      np.add(np.reshape(np.concatenate([a, np.zeros([7])]), [-1, 1]), np.zeros([1, 3 * b.shape[0]]))
    const general = generalize(graphs(f))!
    const rows = await run(general, 2, 3, [9, 9])
    expect(rows.filter((_, i) => i % 9 === 0)).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0])
    const flat: F = (a, b) => np.reshape(np.add(np.expandDims(a, 1), b), [a.shape[0] * b.shape[0]])
    expect(await run(generalize(graphs(flat))!, 2, 3, [6])).toEqual([100, 101, 102, 101, 102, 103])
  })

  it('knows sizes that are numbers of another type: a position that counts from the end', async () => {
    const f: F = (a, b) => np.add(np.take(a, np.astype(b, 'int32')), b)
    const general = generalize(graphs(f))!
    // a = 0, 1, 2, 3 and b = 100, 101: beyond the end, so the last one.
    expect(await run(general, 4, 2, [2])).toEqual([103, 104])
    const fromEnd: F = (a, b) => np.take(a, np.astype(np.subtract(99, b), 'int32'))
    expect(await run(generalize(graphs(fromEnd))!, 4, 3, [3])).toEqual([3, 2, 1])
  })

  it('looks into branches', async () => {
    // The order of numbers is another one where there is a NaN.
    const f: F = (a, b) => np.concatenate([a, np.astype(np.argsort(np.negative(b)), 'float32')])
    const general = generalize(graphs(f))!
    expect(general.nodes.map(n => n.op)).toContain('If')
    expect(await run(general, 2, 3, [5])).toEqual([0, 1, 2, 1, 0])
  })

  it('gives up what it cannot be sure of', () => {
    const rounded: F = (a, b) => np.add(np.zeros([Math.ceil(a.shape[0] / 14), b.shape[0]]), 1)
    expect(generalize(graphs(rounded))).toBeNull()
    // The same in two examples, but not in the third one.
    const clamped: F = (a, b) => np.add(np.expandDims(b, 0), np.zeros([Math.min(8, a.shape[0]), 1]))
    expect(generalize(graphs(clamped))).toBeNull()
    // A size that is computed with.
    expect(generalize(graphs((a, b) => np.concatenate([np.divide(a, a.shape[0]), b])))).toBeNull()
    const branching: F = (a, b) => (a.shape[0] > 50 ? np.concatenate([a, b]) : np.concatenate([np.sin(a), b]))
    expect(generalize(graphs(branching))).toBeNull()
  })
})

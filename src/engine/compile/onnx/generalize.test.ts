import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../api/tensor.js'
import * as lax from '../../api/lax.js'
import * as np from '../../api/np.js'
import { traceTree, flattenArgs } from '../../api/tracing.js'
import { generalize } from './generalize.js'
import { toGraph } from './model.js'
import { NotGeneralError } from './not-general.js'
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
    )
    expect(await run(general, 4, 9, [2])).toEqual([100, 101])
  })

  it('knows multiples, products and sums of sizes', async () => {
    const f: F = (a, b) =>
      np.add(np.reshape(np.concatenate([a, np.zeros([7])]), [-1, 1]), np.zeros([1, 3 * b.shape[0]]))
    const general = generalize(graphs(f))
    const rows = await run(general, 2, 3, [9, 9])
    expect(rows.filter((_, i) => i % 9 === 0)).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0])
    const flat: F = (a, b) => np.reshape(np.add(np.expandDims(a, 1), b), [a.shape[0] * b.shape[0]])
    expect(await run(generalize(graphs(flat)), 2, 3, [6])).toEqual([100, 101, 102, 101, 102, 103])
  })

  it('knows sizes that are numbers of another type: a position that counts from the end', async () => {
    const f: F = (a, b) => np.add(np.take(a, np.astype(b, 'int32')), b)
    const general = generalize(graphs(f))
    // a = 0, 1, 2, 3 and b = 100, 101: beyond the end, so the last one.
    expect(await run(general, 4, 2, [2])).toEqual([103, 104])
    const fromEnd: F = (a, b) => np.take(a, np.astype(np.subtract(99, b), 'int32'))
    expect(await run(generalize(graphs(fromEnd)), 4, 3, [3])).toEqual([3, 2, 1])
  })

  it('looks into branches', async () => {
    // The order of numbers is another one where there is a NaN.
    const f: F = (a, b) => np.concatenate([a, np.astype(np.argsort(np.negative(b)), 'float32')])
    const general = generalize(graphs(f))
    expect(general.nodes.map(n => n.op)).toContain('If')
    expect(await run(general, 2, 3, [5])).toEqual([0, 1, 2, 1, 0])
  })

  it('gives up what it cannot be sure of, and says why', () => {
    const why = (f: F): string => {
      try {
        generalize(graphs(f))
      } catch (error) {
        expect(error).toBeInstanceOf(NotGeneralError)
        return (error as Error).message
      }
      return 'it is general'
    }
    expect(why((a, b) => np.add(np.zeros([Math.ceil(a.shape[0] / 14), b.shape[0]]), 1))).toBe(
      'it has a length or index of 1, 8, 73 at three sizes, which is no multiple of a length of its arguments, or of two, and no sum of one and a constant',
    )
    // The same in two examples, but not in the third one.
    expect(why((a, b) => np.add(np.expandDims(b, 0), np.zeros([Math.min(8, a.shape[0]), 1])))).toContain('3, 8, 8')
    // A size that is computed with.
    expect(why((a, b) => np.concatenate([np.divide(a, a.shape[0]), b]))).toBe(
      'it computes with float32 numbers that depend on sizes: 3,101,1009',
    )
    expect(why((a, b) => np.concatenate([a.shape[0] > 50 ? np.cos(a) : np.sin(a), b]))).toBe(
      'it computes Sin at some sizes and Cos at others',
    )
    expect(why((a, b) => np.concatenate([a.shape[0] > 50 ? a : np.sin(a), b]))).toBe(
      'it has 2, 1, 1 operations at three sizes',
    )
  })

  it('takes any of several formulas if the lengths behind all sizes leave one', async () => {
    // As a part of a function of 3, 101 and 1009 rows, in which b has two elements for each row.
    const sizes: [number, number][] = [
      [3, 6],
      [101, 202],
      [1009, 2018],
    ]
    const all = graphs((a, b) => np.take(b, np.astype(np.add(np.concatenate([a, a]), 100), 'int32')), sizes)
    expect(() => generalize(all)).toThrow('which several formulas give')
    // The last index, which every index exceeds.
    expect(await run(generalize(all, [[3, 101, 1009]]), 2, 4, [4])).toEqual([103, 103, 103, 103])
    const unknown = [
      [3, 101, 1009],
      [6, 202, 2018],
    ]
    expect(() => generalize(all, unknown)).toThrow('which several formulas give')
  })
})

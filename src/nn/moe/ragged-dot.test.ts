import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../engine/api/tensor.js'
import { jit } from '../../engine/api/jit.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import { grad, makeProgram } from '../../engine/api/transforms.js'
import { expandRaggedDots } from '../../engine/compile/onnx/ragged-dot/expand.js'
import { toGraph } from '../../engine/compile/onnx/model.js'
import { gelu } from '../activations.js'
import { raggedDot } from './ragged-dot.js'

const [inputs, outputs] = [3, 2]
const normal = (seed: number, ...shape: number[]): Tensor => random.normal(random.key(seed), shape)
const groupOfRow = (sizes: readonly number[], row: number): number =>
  sizes.findIndex((_, g) => row < sizes.slice(0, g + 1).reduce((a, b) => a + b))

/** The expected result, computed row by row with the kernel of each row's group: numbers [rows * outputs]. */
async function rowByRow(x: Tensor, kernels: Tensor, sizes: readonly number[]): Promise<number[]> {
  const [rows, elements] = [await x.numbers(), await kernels.numbers()]
  return Array.from({ length: (rows.length / inputs) * outputs }, (_, at) => {
    const [row, out] = [Math.floor(at / outputs), at % outputs]
    const group = groupOfRow(sizes, row)
    if (group < 0) return 0
    return Array.from(
      { length: inputs },
      (__, i) => rows[row * inputs + i] * elements[(group * inputs + i) * outputs + out],
    ).reduce((a, b) => a + b)
  })
}

describe('raggedDot', () => {
  it.each([1, 5, 9, 130])('has a gradient in the kernels of %i groups, compiled as by its formula', async numGroups => {
    const numRows = 12
    const [x, kernels, ct] = [
      normal(1, numRows, inputs),
      normal(2, numGroups, inputs, outputs),
      normal(3, numRows, outputs),
    ]
    const inKernels = grad((k: Tensor, y: Tensor, sizes: Tensor) => np.sum(np.multiply(raggedDot(y, k, sizes), ct)))
    const compiled = jit(inKernels)
    const [rows, weights] = [await x.numbers(), await ct.numbers()]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: numGroups - 1 }), { maxLength: numRows }), async groups => {
        const sizes = Array.from({ length: numGroups }, (_, g) => groups.filter(other => other === g).length)
        const expected = new Array<number>(numGroups * inputs * outputs).fill(0)
        for (let row = 0; row < groups.length; row++)
          for (let i = 0; i < inputs; i++)
            for (let o = 0; o < outputs; o++)
              expected[(groupOfRow(sizes, row) * inputs + i) * outputs + o] +=
                rows[row * inputs + i] * weights[row * outputs + o]
        const actual = await compiled(kernels, x, np.array(sizes, 'int32')).numbers()
        actual.forEach((y, i) => expect(y).toBeCloseTo(expected[i], 5))
      }),
      { numRuns: 15 },
    )
    expect(String(makeProgram(inKernels)(kernels, x, np.zeros([numGroups], 'int32')))).toContain('ragged_outer')
  })

  it('reads kernels that are inputs where they are, also after an update in place', async () => {
    const sizes = (): Tensor => np.array([3, 1], 'int32')
    const step = jit(
      (k: Tensor, y: Tensor, n: Tensor) => {
        const slopes = grad((kernels: Tensor) => np.sum(np.square(raggedDot(y, kernels, n))))(k)
        return np.subtract(k, np.multiply(slopes, 0.1))
      },
      { donate: [0] },
    )
    const plain = async (steps: number): Promise<number[]> => {
      let k = normal(2, 2, inputs, outputs)
      for (let i = 0; i < steps; i++) k = step(k, normal(1, 4, inputs), sizes())
      return k.numbers()
    }
    const formula = async (steps: number): Promise<number[]> => {
      let k = normal(2, 2, inputs, outputs)
      const y = normal(1, 4, inputs)
      for (let i = 0; i < steps; i++) {
        const slopes = grad((kernels: Tensor) => {
          const first = np.matmul(y.get(np.slice(0, 3)), kernels.get(0)) // [3, outputs]
          return np.add(np.sum(np.square(first)), np.sum(np.square(np.matmul(y.get(np.slice(3, 4)), kernels.get(1)))))
        })(k)
        k = np.subtract(k, np.multiply(slopes, 0.1))
      }
      return k.numbers()
    }
    const [actual, expected] = [await plain(4), await formula(4)]
    actual.forEach((x, i) => expect(x).toBeCloseTo(expected[i], 5))
  })

  it('has second derivatives', async () => {
    const [x, kernels, sizes] = [normal(1, 4, inputs), normal(2, 2, inputs, outputs), np.array([3, 1], 'int32')]
    const f = (y: Tensor): Tensor => np.sum(np.power(raggedDot(y, kernels, sizes), 3))
    const g = (y: Tensor): Tensor =>
      np.sum(
        np.power(
          np.concatenate([
            np.matmul(y.get(np.slice(0, 3)), kernels.get(0)),
            np.matmul(y.get(np.slice(3, 4)), kernels.get(1)),
          ]),
          3,
        ),
      )
    const twice = (h: (y: Tensor) => Tensor) => grad((y: Tensor) => np.sum(np.square(grad(h)(y))))(x).numbers()
    const [actual, expected] = await Promise.all([twice(f), twice(g)])
    actual.forEach((y, i) => expect(Math.abs(y - expected[i])).toBeLessThan(1e-3 * Math.max(1, Math.abs(expected[i]))))
  })

  it('multiplies the rows of each group by its kernel, and sets rows after the last group to 0', async () => {
    const x = np.array([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ])
    const kernels = np.array([
      [[1], [0]],
      [[9], [9]],
      [[0], [10]],
    ])
    expect(await raggedDot(x, kernels, np.array([1, 0, 2], 'int32')).numbers()).toEqual([1, 40, 60, 0])
  })

  // More than 8 groups are skipped together in one branch, more than 128 in nested branches.
  it.each([1, 5, 9, 130])('is right for %i groups of any sizes, compiled as by its formula', async numGroups => {
    const numRows = 12
    const [x, kernels] = [normal(1, numRows, inputs), normal(2, numGroups, inputs, outputs)]
    const compiled = jit((y: Tensor, k: Tensor, sizes: Tensor) => raggedDot(y, k, sizes))
    const sum = jit(grad((y: Tensor, k: Tensor, sizes: Tensor) => np.sum(np.square(raggedDot(y, k, sizes)))))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: numGroups - 1 }), { maxLength: numRows }), async groups => {
        const sizes = Array.from({ length: numGroups }, (_, g) => groups.filter(other => other === g).length)
        const expected = await rowByRow(x, kernels, sizes)
        const actual = await compiled(x, kernels, np.array(sizes, 'int32')).numbers()
        actual.forEach((y, i) => expect(y).toBeCloseTo(expected[i], 5))
        // The derivative differentiates the composite's formula: 2 y times the kernel.
        const slopes = await sum(x, kernels, np.array(sizes, 'int32')).numbers()
        const kernel = await kernels.numbers()
        slopes.forEach((slope, at) => {
          const [row, i] = [Math.floor(at / inputs), at % inputs]
          const group = groupOfRow(sizes, row)
          const exact =
            group < 0
              ? 0
              : Array.from(
                  { length: outputs },
                  (_, o) => 2 * expected[row * outputs + o] * kernel[(group * inputs + i) * outputs + o],
                ).reduce((a, b) => a + b)
          expect(slope).toBeCloseTo(exact, 4)
        })
      }),
      { numRuns: 15 },
    )
  })

  it.each([3, 20, 130])(
    'makes networks of %i groups, which are skipped whole where they have no rows',
    async numGroups => {
      const [x, gates, wi, wo] = [
        normal(1, 6, inputs),
        normal(2, numGroups, inputs, 4),
        normal(3, numGroups, inputs, 4),
        normal(4, numGroups, 4, outputs),
      ]
      const network = (dot: (y: Tensor, k: Tensor) => Tensor): Tensor =>
        dot(np.multiply(gelu(dot(x, gates)), dot(x, wi)), wo)
      const sizes = np.array(
        Array.from({ length: numGroups }, (_, g) => (g === 1 ? 3 : g === numGroups - 1 ? 2 : 0)),
        'int32',
      )
      const groups = np.array([1, 1, 1, numGroups - 1, numGroups - 1, 0], 'int32')
      const oneByOne = await network((y, k) =>
        np.squeeze(np.matmul(np.expandDims(y, 1), np.take(k, groups, 0)), 1),
      ).numbers()
      const expected = oneByOne.map((y, at) => (at < 5 * outputs ? y : 0))
      const f = (groupSizes: Tensor): Tensor => network((y, k) => raggedDot(y, k, groupSizes))
      const actual = await jit(f)(sizes).numbers()
      actual.forEach((y, i) => expect(y).toBeCloseTo(expected[i], 4))
      const { nodes } = expandRaggedDots(toGraph(makeProgram(f)(sizes)), true)
      expect(nodes.filter(n => n.op === 'If').length).toBe(numGroups === 3 ? 0 : numGroups === 20 ? 3 : 2)
    },
  )

  it('is right with operands that are broadcast, without rows, and inside loops and branches', async () => {
    const kernels = normal(2, 4, inputs, outputs)
    const two = (): Tensor => np.full([4], 2, 'int32')
    const x = normal(1, 8, inputs)
    const expected = await rowByRow(x, kernels, [2, 2, 2, 2])
    const near = (actual: number[]): void => actual.forEach((y, i) => expect(y).toBeCloseTo(expected[i], 5))
    near(await jit((y: Tensor) => raggedDot(y, kernels, two()))(x).numbers())
    const [total] = jit((y: Tensor) =>
      lax.scan((sum: Tensor) => [np.add(sum, raggedDot(y, kernels, two())), sum], np.zeros([8, outputs]), null, {
        length: 1,
      }),
    )(x)
    near(await total.numbers())
    near(
      await jit((y: Tensor, on: Tensor) =>
        lax.cond(
          on,
          (z: Tensor) => raggedDot(z, kernels, two()),
          (z: Tensor) => np.zeros([z.shape[0], outputs]),
          y,
        ),
      )(x, np.array(true)).numbers(),
    )
    expect(
      await jit((y: Tensor) => raggedDot(y, kernels, np.zeros([4], 'int32')))(np.zeros([0, inputs])).numbers(),
    ).toEqual([])
    expect(await raggedDot(np.zeros([0, inputs]), kernels, np.zeros([4], 'int32')).numbers()).toEqual([])
  })

  it('stays one composite in programs, for backends that lower it', () => {
    const program = makeProgram((y: Tensor) =>
      raggedDot(y, normal(2, 4, inputs, outputs), np.array([1, 1, 0, 3], 'int32')),
    )(normal(1, 5, inputs))
    expect(String(program)).toContain('composite[name=ragged_dot')
  })
})

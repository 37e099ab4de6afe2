import { describe, expect, it } from 'vitest'
import { OnnxBackend } from '../compile/onnx/backend.js'
import { nodeSessions } from '../compile/onnx/node.js'
import type { CompiledWithWeights, Executable } from '../compile/backend.js'
import { Engine } from '../compile/engine.js'
import { hostFrom } from '../../base/host-tensor.js'
import { releaseArrays, Tensor } from './tensor.js'
import { setBackend } from './engine.js'
import { TensorType } from './eval-shape.js'
import { jit } from './jit.js'
import * as lax from './lax.js'
import * as np from './np.js'
import * as random from './random.js'
import { specialize } from './specialize.js'
import type { ExampleTypes } from './specialize.js'

/**
 * For each function compiled with weights, how many bytes of them serve all sizes; 0: each size is compiled by itself.
 */
const weightBytes: number[] = []

class Recording extends OnnxBackend {
  override async compileWithWeights(
    ...args: Parameters<OnnxBackend['compileWithWeights']>
  ): Promise<CompiledWithWeights> {
    const compiled = await super.compileWithWeights(...args)
    const at = weightBytes.push(-1) - 1
    return {
      ...compiled,
      at: async program => {
        const executable = await compiled.at(program)
        weightBytes[at] = executable.stats.weightBytes
        return executable
      },
    }
  }
}
setBackend(new Recording(nodeSessions()))

const noise = (seed: number, ...shape: number[]): Tensor => random.normal(random.key(seed), shape)
const newWeights = (seed: number): { kernel: Tensor; bias: Tensor; table: Tensor } => ({
  kernel: noise(seed, 64, 300),
  bias: noise(seed, 1, 300),
  table: noise(seed, 500, 64),
})
type Weights = ReturnType<typeof newWeights>
type Result = { y: Tensor; cache: Tensor }

/** Something of everything that depends on sizes: reshapes to products of sizes, slices, broadcasts, updates. */
function model({ kernel, bias, table }: Weights, ids: Tensor, cache: Tensor, step: Tensor): Result {
  const [batch, length] = ids.shape
  const x = np.reshape(np.take(table, ids, 0), [batch * length, 64])
  const y = np.reshape(np.add(np.matmul(x, kernel), bias), [batch, length, 3, 100])
  const last = np.squeeze(lax.slice(y, [0, length - 1, 0, 0], [batch, length, 3, 100]), 1) // [batch, 3, 100]
  const spread = np.concatenate([np.expandDims(last, 2), np.zeros([batch, 3, cache.shape[1], 100])], 2)
  return {
    y: np.sum(spread, { axis: 1 }),
    cache: lax.dynamicUpdateSlice(cache, np.sum(last, { axis: 1, keepdims: true }), [0, step, 0]),
  }
}

const argsAt = (batch: number, length: number, places: number): [Tensor, Tensor, Tensor] => [
  np.astype(np.reshape(np.remainder(np.multiply(np.arange(batch * length), 37), 500), [batch, length]), 'int32'),
  noise(batch, batch, places, 100),
  np.array(places - 1, 'int32'),
]
const typesAt = (batch: number, length: number, places: number): TensorType[] => [
  new TensorType('int32', [batch, length]),
  new TensorType('float32', [batch, places, 100]),
  new TensorType('int32', []),
]
const examples: ExampleTypes = [typesAt(3, 5, 7), typesAt(101, 211, 307), typesAt(1009, 2003, 3001)]
/** Rows of 64 numbers. */
const rowExamples: ExampleTypes = [
  [new TensorType('float32', [3, 64])],
  [new TensorType('float32', [101, 64])],
  [new TensorType('float32', [1009, 64])],
]
const numbers = async ({ y, cache }: Result): Promise<number[]> => [...(await y.numbers()), ...(await cache.numbers())]

/** Packed products add in another order. */
async function expectSame(actual: Result, expected: Result): Promise<void> {
  const [a, b] = [await numbers(actual), await numbers(expected)]
  expect(a.length).toBe(b.length)
  expect(largest(a.map((x, i) => x - b[i]))).toBeLessThan(1e-6 * largest(b))
}

const largest = (numbers: readonly number[]): number => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0)

describe('specialize', () => {
  it('lays weights out once and serves all sizes, with the results of jit', async () => {
    const [one, other] = [newWeights(1), newWeights(2)]
    const f = specialize(model, examples, { donate: [2] })
    const before = weightBytes.length
    const sizes: [number, number, number][] = [
      [3, 5, 4],
      [1, 1, 1],
      [1, 7, 2],
      [16, 1, 16],
      [4, 4, 4],
      [40, 3, 30],
    ]
    for (const size of sizes) await expectSame(f(one, ...argsAt(...size)), jit(model)(one, ...argsAt(...size)))
    // The kernel and the bias; the table is large and read where it is.
    expect(weightBytes.slice(before)).toEqual([4 * (64 * 300 + 300)])
    await expectSame(f(other, ...argsAt(3, 5, 4)), jit(model)(other, ...argsAt(3, 5, 4)))
    expect(weightBytes.slice(before)).toHaveLength(2)
  })

  it.each(['int32', 'uint32', 'int64', 'uint8'] as const)(
    'serves all sizes where %s positions count from the end of a length that varies',
    async dtype => {
      const types = (rows: number, places: number): TensorType[] => [
        new TensorType('float32', [rows, 64]),
        new TensorType(dtype, [places]),
      ]
      const f = (w: Tensor, x: Tensor, at: Tensor): Tensor => {
        const y = np.multiply(x, w)
        return np.add(
          np.add(np.take(y, at), y.get(at)),
          np.add(np.take(y, at, 0, { mode: 'fill', fillValue: 5 }), y.get(-1)),
        )
      }
      const special = specialize(f, [types(3, 7), types(101, 211), types(1009, 2003)])
      const w = noise(0, 64)
      const before = weightBytes.length
      for (const n of [4, 1, 9]) {
        const at = np.array(dtype.startsWith('u') ? [0, n - 1, n, n + 7] : [0, n - 1, -1, -n, n, -n - 7], dtype)
        expect(await special(w, noise(n, n, 64), at).numbers()).toEqual(await jit(f)(w, noise(n, n, 64), at).numbers())
      }
      expect(weightBytes.slice(before)).toEqual([4 * 64])
    },
  )

  it('compiles each size by itself where no one graph serves all', async () => {
    // A size that is computed with.
    const f = (w: Tensor, x: Tensor): Tensor => np.divide(np.matmul(x, w), x.shape[0])
    const special = specialize(f, rowExamples)
    const w = noise(0, 64, 300)
    const before = weightBytes.length
    for (const n of [3, 1])
      expect(await special(w, noise(n, n, 64)).numbers()).toEqual(await jit(f)(w, noise(n, n, 64)).numbers())
    expect(weightBytes.slice(before)).toEqual([0])
  })

  it('keeps the sizes that were used last, and releases what others had for themselves', async () => {
    const released: string[] = []
    class Releasing extends Recording {
      override async compile(...args: Parameters<OnnxBackend['compile']>): Promise<Executable> {
        const executable = await super.compile(...args)
        const [, x] = args[0].inputs
        return Object.assign(executable, { release: async () => void released.push(String(x?.aval.shape)) })
      }
    }
    const engine = new Engine(new Releasing(nodeSessions(1)))
    const put = (...shape: number[]): Tensor =>
      new Tensor(engine.put(hostFrom('float32', shape, new Array<number>(shape.reduce((a, b) => a * b)).fill(1))))
    const w = put(64, 300)
    const special = specialize((k: Tensor, x: Tensor) => np.divide(np.matmul(x, k), x.shape[0]), rowExamples)
    for (let n = 1; n <= 258; n++) await special(w, put(n, 64)).data()
    expect(released).toEqual(['1,64', '2,64'])
    expect(await special(w, put(1, 64)).numbers()).toEqual(new Array(300).fill(64))
  })

  it('knows what branches read', async () => {
    // Sorting has a branch for NaN, in which y is an input and, where it is looked up, a weight.
    const types = (n: number): TensorType[] => [new TensorType('float32', [n, 64]), new TensorType('float32', [n])]
    const f = (w: { kernel: Tensor; order: Tensor }, x: Tensor, y: Tensor): Tensor =>
      np.add(
        np.add(np.matmul(x, w.kernel), np.sum(np.multiply(np.sort(y), np.arange(y.shape[0])))),
        np.sum(np.multiply(np.sort(w.order), np.arange(7))),
      )
    const weights = { kernel: noise(0, 64, 300), order: noise(1, 7) }
    const expected = await jit(f)(weights, noise(2, 5, 64), noise(3, 5)).numbers()
    const actual = await specialize(f, [types(3), types(101), types(1009)])(
      weights,
      noise(2, 5, 64),
      noise(3, 5),
    ).numbers()
    expect(largest(actual.map((x, i) => x - expected[i]))).toBeLessThan(1e-5 * largest(expected))
  })

  it('calls the function at the sizes of its examples only, if one form serves all sizes', async () => {
    const sizes: (readonly number[])[] = []
    const f = (w: Tensor, x: Tensor): { y: Tensor; pairs: Tensor } => {
      sizes.push(x.shape)
      const pairs = np.multiply(np.expandDims(x, 0), np.expandDims(x, 1)) // [n, n, 64]
      return { y: np.matmul(np.concatenate([x, np.ones([2, 64])], 0), w), pairs: np.reshape(pairs, [-1, 64]) }
    }
    const special = specialize(f, rowExamples)
    const w = noise(0, 64, 300)
    const results = [1, 5].map(n => special(w, noise(n, n, 64)))
    for (const { y } of results) await y.data()
    expect(sizes).toEqual([
      [3, 64],
      [101, 64],
      [1009, 64],
    ])
    expect(results.map(({ y, pairs }) => [y.shape, pairs.shape])).toEqual([
      [
        [3, 300],
        [1, 64],
      ],
      [
        [7, 300],
        [25, 64],
      ],
    ])
    expect(await results[1].pairs.numbers()).toEqual(await jit(f)(w, noise(5, 5, 64)).pairs.numbers())
  })

  const vectorExamples = [3, 101, 1009].map(n => [new TensorType('float32', [n])]) as unknown as ExampleTypes

  it('calls the function at sizes where the lengths of the examples do not tell those of the results', async () => {
    const rest = (w: Tensor, x: Tensor): Tensor => np.multiply(lax.slice(x, [Math.min(1, x.shape[0])], [x.shape[0]]), w)
    const special = specialize(rest, vectorExamples)
    for (const n of [0, 1, 4]) {
      const y = special(np.array(2), np.ones([n]))
      expect(y.shape).toEqual([Math.max(0, n - 1)])
      expect(await y.numbers()).toEqual(new Array(Math.max(0, n - 1)).fill(2))
    }
  })

  it('refuses results that do not follow from the examples, where the function is traced', async () => {
    const first = specialize(
      // The constant 1 / n has no form for all sizes.
      (w: Tensor, x: Tensor) => np.multiply(lax.slice(x, [0], [Math.min(2000, x.shape[0])]), np.divide(w, x.shape[0])),
      vectorExamples,
    )
    expect((await first(np.array(2), np.ones([2000])).numbers()).length).toBe(2000)
    await expect(first(np.array(2), np.ones([3000])).data()).rejects.toThrow(
      'f returns f32[2000] at these sizes, which does not follow from its examples: f32[3000] does. Make it do the same',
    )
  })

  it('refuses to read other weights at other sizes than in its examples', async () => {
    const f = specialize(
      (w: { a: Tensor; b: Tensor }, x: Tensor) => np.divide(np.matmul(x, x.shape[0] === 2 ? w.b : w.a), x.shape[0]),
      rowExamples,
    )
    await expect(f({ a: noise(0, 64, 3), b: noise(1, 64, 3) }, noise(2, 2, 64)).data()).rejects.toThrow(
      'reads different weights at these sizes',
    )
  })

  it('says which weights it has copied, which can then be released', async () => {
    const weights = newWeights(1)
    const expected = await numbers(jit(model)(weights, ...argsAt(3, 5, 4)))
    const f = specialize(model, examples)
    const copied = await f.prepare(weights)
    // The table is read where it is.
    expect(copied.map(a => a.shape)).toEqual([weights.bias.shape, weights.kernel.shape])
    releaseArrays(copied, 'a test')
    for (const _ of [1, 2])
      expect(largest((await numbers(f(weights, ...argsAt(3, 5, 4)))).map((x, i) => x - expected[i]))).toBeLessThan(
        1e-6 * largest(expected),
      )
    expect(() => np.add(weights.kernel, 1)).toThrow(
      'this f32[64,300] belongs to a test, which keeps it in another form: load it again for other uses',
    )
    expect(await np.sum(weights.table).item()).toBeTypeOf('number')
  })

  it('tries again after a failure', async () => {
    let failures = 1
    const sessions = nodeSessions()
    setBackend(
      new Recording({
        ...sessions,
        create: (graph, options) =>
          graph.weights && failures-- > 0 ? Promise.reject(new Error('no memory')) : sessions.create(graph, options),
      }),
    )
    try {
      const weights = newWeights(1)
      const f = specialize(model, examples)
      await expect(numbers(f(weights, ...argsAt(3, 5, 4)))).rejects.toThrow('no memory')
      await expectSame(f(weights, ...argsAt(3, 5, 4)), jit(model)(weights, ...argsAt(3, 5, 4)))
    } finally {
      setBackend(new Recording(sessions))
    }
  })

  it('tries a size again after its compilation has failed', async () => {
    let failures = 0
    class Failing extends OnnxBackend {
      override async compileWithWeights(
        ...args: Parameters<OnnxBackend['compileWithWeights']>
      ): Promise<CompiledWithWeights> {
        const compiled = await super.compileWithWeights(...args)
        return {
          ...compiled,
          at: program => (failures-- > 0 ? Promise.reject(new Error('no memory')) : compiled.at(program)),
        }
      }
    }
    setBackend(new Failing(nodeSessions()))
    try {
      const w = noise(1, 64)
      const f = specialize((bias: Tensor, x: Tensor) => np.add(x, bias), rowExamples)
      const at = (rows: number): Promise<number[]> => f(w, np.ones([rows, 64])).numbers()
      const row = await at(1)
      failures = 1
      await expect(at(2)).rejects.toThrow('no memory')
      expect(await at(2)).toEqual([...row, ...row])
      // The same with a call at other sizes between the two.
      failures = 1
      await expect(at(3)).rejects.toThrow('no memory')
      expect(await at(1)).toEqual(row)
      expect(await at(3)).toEqual([...row, ...row, ...row])
    } finally {
      setBackend(new Recording(nodeSessions()))
    }
  })

  it('refuses arguments that are not as the examples', () => {
    const f = specialize(model, examples)
    const [ids, cache, step] = argsAt(3, 5, 4)
    const refused = (...args: [Tensor, Tensor, Tensor]): void =>
      expect(() => f(newWeights(1), ...args)).toThrow('but its examples are')
    refused(np.astype(ids, 'float32'), cache, step)
    refused(ids, noise(0, 4, 4, 100), step)
    refused(ids, noise(0, 3, 4, 99), step)
    refused(ids, noise(0, 3, 400), step)
  })

  it('takes donated memory, is a plain function inside jit, and refuses arrays that it closes over', async () => {
    const f = specialize(model, examples, { donate: [2] })
    const [weights, args] = [newWeights(1), argsAt(3, 5, 4)]
    const { cache } = f(weights, ...args)
    expect(() => np.add(args[1], 1)).toThrow('was donated to model')
    expect(cache.shape).toEqual([3, 4, 100])
    expect(await jit((w: Weights) => f(w, ...argsAt(3, 5, 4)).y)(weights).numbers()).toEqual(
      await jit(model)(weights, ...argsAt(3, 5, 4)).y.numbers(),
    )
    const outer = noise(0, 64)
    const closed = specialize((w: Tensor, x: Tensor) => np.add(np.matmul(x, w), outer), rowExamples)
    expect(() => closed(noise(0, 64, 64), noise(1, 2, 64))).toThrow(
      'closes over arrays, which specialize does not support',
    )
  })
})

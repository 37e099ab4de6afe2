import { describe, expect, it } from 'vitest'
import { MemoryPages, withPagedExperts } from '../../../../test/paged-experts.js'
import { hostFrom } from '../../../base/host-tensor.js'
import { feedForwardActivations } from '../../../nn/mlp.js'
import { raggedDot } from '../../../nn/moe/ragged-dot.js'
import type { Kernel } from '../../../nn/quantized.js'
import { setBackend } from '../../api/engine.js'
import { TensorType } from '../../api/eval-shape.js'
import { jit } from '../../api/jit.js'
import * as lax from '../../api/lax.js'
import * as np from '../../api/np.js'
import { pagedArray } from '../../api/paged-array.js'
import type { Page } from '../../api/paged-array.js'
import * as random from '../../api/random.js'
import { specialize } from '../../api/specialize.js'
import { hostView } from '../../api/tensor.js'
import type { Tensor } from '../../api/tensor.js'
import type { CompiledWithWeights } from '../backend.js'
import type { Concrete } from '../concrete.js'
import { OnnxBackend } from '../onnx/backend.js'
import type { HostBuffer } from '../onnx/buffer.js'
import { nodeSessions } from '../onnx/node.js'
import { referenceBackend } from '../reference/backend.js'

const [GROUPS, WIDTH, HIDDEN] = [5, 32, 64]
type Expert = { [name: string]: Kernel }
type Weights = { first: { expert: Expert }; second: { expert: Expert }; bias: Tensor }
type Form = 'float32' | 'int8'

/** A kernel [groups, in, out] in a form. */
function kernel(form: Form, seed: number, inputs: number, outputs: number): Kernel {
  const key = random.key(seed)
  if (form === 'int8')
    return {
      values: np.astype(random.randint(key, [GROUPS, inputs, outputs], -127, 128), 'int8'),
      scales: random.uniform(random.key(seed + 1), [GROUPS, outputs]),
    }
  return random.normal(key, [GROUPS, inputs, outputs])
}

function weightsOf(form: Form, isGated: boolean): Weights {
  const expert = (seed: number): Expert => ({
    wi: kernel(form, seed, WIDTH, HIDDEN),
    ...(isGated && { gate: kernel(form, seed + 2, WIDTH, HIDDEN) }),
    wo: kernel(form, seed + 4, HIDDEN, WIDTH),
  })
  return { first: { expert: expert(1) }, second: { expert: expert(10) }, bias: random.normal(random.key(20), [WIDTH]) }
}

/** Two sparse layers, of which the second one reads the first one's result; and the first one's hidden layer. */
function layers({ first, second, bias }: Weights, x: Tensor, sizes: Tensor, otherSizes: Tensor): [Tensor, Tensor] {
  const layer = ({ wi, gate, wo }: Expert, y: Tensor, groupSizes: Tensor): [Tensor, Tensor] => {
    const product = raggedDot(y, wi, groupSizes)
    const hidden = gate
      ? np.multiply(feedForwardActivations.gelu(product), raggedDot(y, gate, groupSizes))
      : feedForwardActivations.relu(product)
    return [raggedDot(hidden, wo, groupSizes), hidden]
  }
  const [y, hidden] = layer(first.expert, x, sizes)
  const [z] = layer(second.expert, np.tanh(np.add(y, bias)), otherSizes)
  return [np.add(z, y), np.sum(hidden, { axis: 1 })]
}

const typesOf = (rows: number): TensorType[] => [
  new TensorType('float32', [rows, WIDTH]),
  new TensorType('int32', [GROUPS]),
  new TensorType('int32', [GROUPS]),
]
const specialized = (): ReturnType<typeof specialize<Weights, [Tensor, Tensor, Tensor], [Tensor, Tensor]>> =>
  specialize(layers, [typesOf(3), typesOf(101), typesOf(1009)])

const groupSizes = [
  ['of rows for all', [2, 1, 3, 1, 1]],
  ['of which some are empty', [0, 4, 0, 3, 0]],
  ['of which one has all rows', [0, 0, 8, 0, 0]],
  ['without rows after the last', [1, 0, 2, 0, 0]],
  ['that are all 0', [0, 0, 0, 0, 0]],
] as const

describe.each(['onnx', 'reference'] as const)('paged weights on the backend %s', name => {
  it.each([
    ['float32', false],
    ['float32', true],
    ['int8', false],
    ['int8', true],
  ] as const)('give the results of weights in memory: %s, gated %s', async (form, isGated) => {
    setBackend(name === 'onnx' ? new OnnxBackend(nodeSessions()) : referenceBackend)
    const resident = weightsOf(form, isGated)
    const { params: paged, pages } = await withPagedExperts(resident)
    const f = specialized()
    for (const [_, sizes] of groupSizes) {
      const x = np.add(
        random.normal(random.key(40), [8, WIDTH]),
        np.where(np.less(np.arange(8), 7), 0, NaN).reshape([8, 1]),
      )
      const inputs = [x, np.array([...sizes], 'int32'), np.array(sizes.toReversed(), 'int32')] as const
      const expected = await Promise.all(f(resident, ...inputs).map(y => y.numbers()))
      const results = await Promise.all(f(paged, ...inputs).map(y => y.numbers()))
      results.forEach((values, i) =>
        values.forEach((value, k) => {
          if (name === 'onnx' && form === 'float32' && !Number.isNaN(value))
            expect(value).toBeCloseTo(expected[i][k], 3)
          else expect(value).toBe(expected[i][k])
        }),
      )
      const used = sizes.flatMap((n, group) => (n > 0 ? [group] : []))
      expect(pages[0].fetched.splice(0)).toEqual(used.length > 0 ? [used] : [])
    }
  })
})

describe('a paged array', () => {
  const onOnnx = (): void => void setBackend(new OnnxBackend(nodeSessions()))
  const pages = (): MemoryPages =>
    new MemoryPages('encoder/layers_1', [hostFrom('float32', [2, 3, 4], Array(24).fill(1))])

  it('cannot be used as a whole', async () => {
    onOnnx()
    const array = pagedArray(pages(), 0)
    expect(`${array}`).toBe('f32[2,3,4]')
    await expect(array.data()).rejects.toThrow('f32[2,3,4] of encoder/layers_1, which is paged')
    expect(() => np.add(array, 1)).toThrow('add needs all of the f32[2,3,4]')
    expect(() => jit((x: Tensor) => np.sum(x))(array)).toThrow('Load the model without paging')
    const types = (rows: number): TensorType[] => [new TensorType('float32', [2, rows, 3])]
    const batched = specialize(
      function experts(w: { kernel: Tensor }, x: Tensor): Tensor {
        return np.matmul(x, w.kernel)
      },
      [types(3), types(101), types(1009)],
    )
    await expect(batched({ kernel: array }, np.ones([2, 5, 3])).data()).rejects.toThrow('dotGeneral in experts')
    const returned = specialize(
      (w: { kernel: Tensor }, x: Tensor) => [w.kernel, x],
      [types(3), types(101), types(1009)],
    )
    await expect(returned({ kernel: array }, np.ones([2, 5, 3]))[1].data()).rejects.toThrow('needs all of')
  })

  /** A step of a decoder: writes into a donated cache, then runs an expert. */
  const step = (): ((w: { kernel: Tensor }, x: Tensor, cache: Tensor) => [Tensor, Tensor]) => {
    const types = (rows: number): TensorType[] => [
      new TensorType('float32', [rows, 3]),
      new TensorType('float32', [rows, 9]),
    ]
    return specialize(
      function decode(w: { kernel: Tensor }, x: Tensor, cache: Tensor): [Tensor, Tensor] {
        const sizes = np.astype(np.stack([np.array(x.shape[0], 'int32'), np.array(0, 'int32')]), 'int32')
        const written = lax.dynamicUpdateSlice(cache, x, [0, 2])
        return [raggedDot(np.add(x, np.sum(written, { axis: 1, keepdims: true })), w.kernel, sizes), written]
      },
      [types(3), types(101), types(1009)],
      { donate: [2] },
    )
  }
  const memoryOf = async (x: Tensor): Promise<unknown> =>
    ((await (x.value as Concrete).buffer) as HostBuffer).tensor.data.buffer

  it('leaves donated state where it is', async () => {
    onOnnx()
    const f = step()
    const weights = { kernel: pagedArray(pages(), 0) }
    const x = np.ones([2, 3])
    let [, cache] = f(weights, x, jit(() => np.zeros([2, 9]))())
    const memory = await memoryOf(cache)
    let y: Tensor
    for (let i = 0; i < 3; i++) {
      ;[y, cache] = f(weights, x, cache)
      expect(await memoryOf(cache)).toBe(memory)
    }
    expect(await y!.numbers()).toEqual(Array(8).fill(3 * (1 + 3)))
  })

  it('whose pages cannot be fetched fails that run alone', async () => {
    onOnnx()
    const f = step()
    const source = pages()
    const weights = { kernel: pagedArray(source, 0) }
    const x = np.ones([2, 3])
    source.failure = new Error('layer 1, expert 0: the disk has gone')
    const before = jit(() => np.zeros([2, 9]))()
    const [y, cache] = f(weights, x, before)
    await expect(y.data()).rejects.toThrow('the disk has gone')
    await expect(cache.data()).rejects.toThrow('the disk has gone')
    // The cache was written before the pages were fetched.
    expect(() => f(weights, x, before)).toThrow('was donated to decode')
    const [z] = f(weights, x, jit(() => np.zeros([2, 9]))())
    expect(await z.numbers()).toEqual(Array(8).fill(12))
  })
})

describe('a compilation that fails', () => {
  /** Fails a call of `compileWithWeights`, counted from now. */
  class FailingBackend extends OnnxBackend {
    failing = Infinity

    override async compileWithWeights(
      ...given: Parameters<OnnxBackend['compileWithWeights']>
    ): Promise<CompiledWithWeights> {
      if (this.failing-- === 0) throw new Error('out of memory')
      return super.compileWithWeights(...given)
    }
  }

  /** Pages that stay, with room for what is kept beside each. */
  class KeptPages extends MemoryPages {
    readonly rooms: number[] = []
    private readonly all = new Map<number, Page>()

    override async *fetch(indices: readonly number[]): AsyncGenerator<Page> {
      for await (const page of super.fetch(indices)) {
        const parts = page.parts.map(part => ({ ...part, data: part.data.slice() }))
        const keep = (bytes: number): boolean => this.rooms.push(bytes) > 0
        const kept = this.all.get(page.index) ?? { index: page.index, parts, keep }
        this.all.set(page.index, kept)
        yield kept
      }
    }
  }

  it.each(['float32', 'int4'] as const)('is tried again, for a kernel in %s', async form => {
    const backend = new FailingBackend(nodeSessions())
    setBackend(backend)
    const arrays =
      form === 'float32'
        ? [await hostView(random.normal(random.key(1), [2, 32, 48]))]
        : await Promise.all(
            [
              np.astype(random.randint(random.key(2), [2, 48, 1, 16], 0, 256), 'uint8'),
              random.uniform(random.key(3), [2, 48, 1]),
            ].map(hostView),
          )
    const pages = new KeptPages('encoder/layers_1', arrays)
    const parts = arrays.map((_, part) => pagedArray(pages, part))
    const kernel: Kernel = form === 'float32' ? parts[0] : { values: parts[0], scales: parts[1] }
    const f = specialize(
      (w: { kernel: Kernel }, x: Tensor) =>
        raggedDot(np.tanh(x), w.kernel, np.stack([np.array(0, 'int32'), np.array(x.shape[0], 'int32')])),
      [
        [new TensorType('float32', [3, 32])],
        [new TensorType('float32', [101, 32])],
        [new TensorType('float32', [1009, 32])],
      ],
    )
    const weights = { kernel }
    const run = async (): Promise<number[]> => f(weights, np.ones([2, 32])).numbers()
    for (const failing of [0, 1, 2]) {
      backend.failing = failing
      await expect(run()).rejects.toThrow('out of memory')
    }
    const y = await run()
    expect(y.every(Number.isFinite)).toBe(true)
    expect(await run()).toEqual(y)
    expect(pages.rooms).toHaveLength(form === 'float32' ? 0 : 1)
  })
})

import { describe, expect, it } from 'vitest'
import { hostFrom, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { setBackend } from '../engine/api/engine.js'
import * as np from '../engine/api/np.js'
import { TensorType } from '../engine/api/eval-shape.js'
import { specialize } from '../engine/api/specialize.js'
import type { ExampleTypes } from '../engine/api/specialize.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import { makeProgram } from '../engine/api/transforms.js'
import { OnnxBackend } from '../engine/compile/onnx/backend.js'
import { multipliesSignedExactly } from '../engine/compile/onnx/integer-product/signed.js'
import { nodeSessions } from '../engine/compile/onnx/node.js'
import { allNodes } from '../engine/compile/onnx/nodes.js'
import type { SessionFactory } from '../engine/compile/onnx/session.js'
import { webSessions } from '../engine/compile/onnx/web.js'
import { interpret } from '../engine/compile/reference/interpret.js'
import { relu } from './activations.js'
import { projection } from './embedding.js'
import { raggedDot } from './moe/ragged-dot.js'
import { product } from './quantized.js'

const [inputs, outputs, groups] = [80, 21, 10]
type Weights = { values: Tensor; scales: Tensor }

const int8 = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'int8',
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d) }, (_, i) =>
      i % 5 === 0 ? 127 : i % 7 === 0 ? -127 : ((i * 7919 + (i >> 3)) % 255) - 127,
    ),
  )
const scalesOf = (shape: readonly number[]): HostTensor =>
  hostFrom(
    'float32',
    shape,
    Array.from({ length: shape.reduce((n, d) => n * d) }, (_, i) => 0.001 * (1 + (i % 13))),
  )

const LARGEST = 3.4028234663852886e38
/** Rows of every kind: element `i` of each. */
const kinds: { readonly [name: string]: (i: number) => number } = {
  usual: i => Math.sin(i * i * 0.37 + i),
  'largest at once': i => (i % 2 === 0 ? 1 : 1.0001),
  zeros: () => 0,
  'negative zeros': () => -0,
  'one element': i => (i === 17 ? -3 : 0),
  huge: i => 3e38 * Math.cos(i),
  'the largest numbers': i => (i % 3 === 0 ? LARGEST : -LARGEST),
  tiny: i => 1e-40 * Math.sin(i),
  'the smallest number': i => (i === 3 ? 1e-45 : 0),
  ties: i => (i === 0 ? 127 : (i % 20) + 0.5),
  NaN: i => (i === 40 ? NaN : 1),
  infinity: i => (i === 40 ? Infinity : 1),
  'negative infinity': i => (i === 79 ? -Infinity : 0),
  'another usual one': i => 5 * Math.sin(i * i * 0.11 + 2),
}
const rowsOf = (names: readonly string[]): HostTensor =>
  hostFrom(
    'float32',
    [names.length, inputs],
    names.flatMap(name => Array.from({ length: inputs }, (_, i) => kinds[name](i))),
  )
const all = Object.keys(kinds)

/** Sessions of a processor without VNNI, as far as our code can see it. Counts the nodes of other sessions. */
const operations: string[] = []
const recorded = (real: SessionFactory, saturates: boolean): SessionFactory => {
  return {
    ...real,
    create: async (graph, options) => {
      const session = await real.create(graph, options)
      const isProbe = graph.initializers.has('values')
      if (!isProbe) operations.push(...allNodes(graph.nodes).map(({ op }) => op))
      if (!isProbe || !saturates) return session
      return { ...session, run: async () => undefined }
    },
  }
}

/** A product of x [rows, in]; `sizes` are group sizes. */
type Product = (weights: Weights, x: Tensor, sizes: Tensor) => Tensor

/** The results that the definition gives: of the interpreter. */
function defined(
  f: Product,
  hosts: readonly [values: HostTensor, scales: HostTensor, x: HostTensor, sizes: HostTensor],
): number[] {
  const [values, scales, x, sizes] = hosts.map(fromHost)
  const program = makeProgram((v: Tensor, s: Tensor, ...rest: [Tensor, Tensor]) =>
    f({ values: v, scales: s }, ...rest),
  )(values, scales, x, sizes)
  return comparable(toNumbers(interpret(program, hosts)[0]))
}

/** Without the sign of zero; all numbers that are not finite are NaN. */
const comparable = (numbers: readonly number[]): number[] => numbers.map(y => (Number.isFinite(y) ? y + 0 : NaN))

const examples: ExampleTypes = [3, 101, 1009].map(rows => [
  new TensorType('float32', [rows, inputs]),
  new TensorType('int32', [groups]),
]) as never

describe.each([
  ['signed, if the processor multiplies them exactly', nodeSessions(), false],
  ['unsigned, where signed ones saturate', nodeSessions(), true],
  ['compiled by onnxruntime-web', webSessions({ threads: 1 }), false],
] as const)('integer products with kernels that are %s', (_, real, saturates) => {
  const sessions = recorded(real, saturates)
  const plain: Product = (kernel, x) => product(x, kernel)
  const transposed: Product = (table, x) => product(x, projection(table))
  const ragged: Product = (kernels, x, sizes) => raggedDot(x, kernels, sizes)
  const sizes = hostFrom('int32', [groups], [2, 0, 3, 1, 0, 0, 1, 4, 0, 1])
  const inGroup = (group: number): HostTensor =>
    hostFrom(
      'int32',
      [groups],
      Array.from({ length: groups }, (__, i) => Number(i === group)),
    )

  it.each([
    ['a kernel', plain, [inputs, outputs], [outputs]],
    ['a transposed embedding', transposed, [outputs, inputs], [outputs]],
    ['groups of rows', ragged, [groups, inputs, outputs], [groups, outputs]],
  ] as const)('%s: compiled as defined, to the last bit of finite numbers', async (__, f, valuesShape, scalesShape) => {
    setBackend(new OnnxBackend(sessions))
    operations.length = 0
    const weights = [int8(valuesShape), scalesOf(scalesShape)] as const
    const expected = defined(f, [...weights, rowsOf(all), sizes])
    expect(expected.filter(Number.isNaN).length).toBeGreaterThanOrEqual((f === ragged ? 2 : 3) * outputs)
    const [values, scales] = weights.map(fromHost)
    const compiled = jit((x: Tensor, y: Tensor) => f({ values, scales }, x, y))
    expect(comparable(await compiled(fromHost(rowsOf(all)), fromHost(sizes)).numbers())).toEqual(expected)
    expect(operations.filter(op => op === 'MatMulIntegerToFloat').length).toBe(f === ragged ? groups : 1)
    expect(operations.includes('BitwiseXor')).toBe(saturates || !(await multipliesSignedExactly(real)))
    // With weights in the graph, which ONNX Runtime packs; and each row alone, which must not change it.
    const specialized = specialize((w: Weights, x: Tensor, y: Tensor) => f(w, x, y), examples)
    const kernel = { values, scales }
    expect(comparable(await specialized(kernel, fromHost(rowsOf(all)), fromHost(sizes)).numbers())).toEqual(expected)
    const groupOf = [0, 0, 2, 2, 2, 3, 6, 7, 7, 7, 7, 9]
    for (const [i, row] of all.entries()) {
      const alone = specialized(kernel, fromHost(rowsOf([row])), fromHost(inGroup(groupOf[i] ?? -1)))
      expect(comparable(await alone.numbers()), row).toEqual(expected.slice(i * outputs, (i + 1) * outputs))
    }
  })

  it.each([
    ['a kernel', (kernel, x) => product(relu(x), kernel), [inputs, inputs], 1],
    [
      'groups of rows',
      (kernels, x, counts) => ragged(kernels, relu(ragged(kernels, x, counts)), counts),
      [groups, inputs, inputs],
      2,
    ],
  ] as readonly (readonly [string, Product, number[], number])[])(
    '%s after ReLU, whose rows are rounded in another way',
    async (__, f, shape, products) => {
      setBackend(new OnnxBackend(sessions))
      operations.length = 0
      const weights = [int8(shape), scalesOf(shape.toSpliced(-2, 1))] as const
      const expected = defined(f, [...weights, rowsOf(all), sizes])
      const [values, scales] = weights.map(fromHost)
      const compiled = jit((x: Tensor, y: Tensor) => f({ values, scales }, x, y))
      expect(comparable(await compiled(fromHost(rowsOf(all)), fromHost(sizes)).numbers())).toEqual(expected)
      const specialized = specialize((w: Weights, x: Tensor, y: Tensor) => f(w, x, y), examples)
      expect(
        comparable(await specialized({ values, scales }, fromHost(rowsOf(all)), fromHost(sizes)).numbers()),
      ).toEqual(expected)
      // Groups are computed in parts. Each part rounds the rows of every product once.
      const count = (op: string): number => operations.filter(other => other === op).length
      expect(count('Min')).toBeGreaterThan(0)
      expect(count('Abs')).toBe((products - 1) * count('Min'))
    },
  )

  it('also without rows: of no group, and of a whole input', async () => {
    setBackend(new OnnxBackend(sessions))
    // Eight groups are not skipped where they are empty.
    const few = 8
    const hosts = [int8([few, inputs, outputs]), scalesOf([few, outputs]), rowsOf(all)] as const
    for (const ofGroups of [Array(few).fill(0), [0, 0, 3, 0, 0, 0, 0, 1]]) {
      const ofFew = hostFrom('int32', [few], ofGroups)
      const [values, scales, x, counts] = [...hosts, ofFew].map(fromHost)
      const compiled = jit((y: Tensor, n: Tensor) => ragged({ values, scales }, y, n))
      expect(comparable(await compiled(x, counts).numbers())).toEqual(defined(ragged, [...hosts, ofFew]))
    }
    const sums = specialize((w: Weights, x: Tensor, y: Tensor) => [np.sum(plain(w, x, y), { axis: 0 }), y], examples)
    const kernel = { values: fromHost(int8([inputs, outputs])), scales: fromHost(scalesOf([outputs])) }
    expect(await sums(kernel, np.zeros([0, inputs]), fromHost(sizes))[0].numbers()).toEqual(Array(outputs).fill(0))
  })
})

it('whether signed kernels are exact is measured once, at the first graph with integer products', async () => {
  const real = nodeSessions()
  let probes = 0
  const counting: SessionFactory = {
    ...real,
    create: async (graph, options) => {
      if (graph.initializers.has('values')) probes++
      return real.create(graph, options)
    },
  }
  setBackend(new OnnxBackend(counting))
  await jit((x: Tensor) => np.multiply(x, 2))(fromHost(rowsOf(all))).numbers()
  expect(probes).toBe(0)
  const kernel = { values: fromHost(int8([inputs, outputs])), scales: fromHost(scalesOf([outputs])) }
  for (const names of [all, ['usual']]) await jit((x: Tensor) => product(x, kernel))(fromHost(rowsOf(names))).numbers()
  expect(probes).toBe(1)
})

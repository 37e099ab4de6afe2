import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OnnxBackend } from '../../compile/onnx/backend.js'
import { nodeSessions } from '../../compile/onnx/node.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as lax from '../lax.js'
import * as np from '../np.js'
import { grad } from '../transforms.js'
import { vmap } from '../vmap.js'

/** A number as JSON has it: null is NaN. */
type Written = number | null | 'Infinity' | '-Infinity'
interface Curve {
  x: Written[]
  y: Written[]
}
interface Cumulative extends Curve {
  name: 'cumsum' | 'cumprod' | 'cummax' | 'cummin' | 'cumlogsumexp'
  axis: number
  reverse: boolean
  grad: Written[]
}
type Curves = 'lgamma' | 'digamma' | 'lgammaGrad' | 'digammaGrad' | 'erfc' | 'erfcGrad'
const jax = JSON.parse(readFileSync('test/fixtures/jax-lax.json', 'utf8')) as Record<Curves, Curve> & {
  cumulative: Cumulative[]
}

const read = (list: Written[]): number[] => list.map(v => (v === null ? NaN : Number(v)))

function expectClose(got: number[], wanted: number[], within: number): void {
  expect(got.length).toBe(wanted.length)
  got.forEach((v, i) => {
    const w = wanted[i]
    const close = Object.is(v, w) || v === w || Math.abs(v - w) <= within * Math.max(1, Math.abs(w))
    expect(close, `element ${i}: ${v}, not ${w}`).toBe(true)
  })
}

const derivative =
  (f: (x: Tensor) => Tensor) =>
  (x: Tensor): Tensor =>
    vmap(grad(f))(x)

const curves: [Curves, (x: Tensor) => Tensor, number][] = [
  ['lgamma', lax.lgamma, 2e-6],
  ['digamma', lax.digamma, 4e-6],
  ['lgammaGrad', derivative(lax.lgamma), 4e-6],
  ['digammaGrad', derivative(lax.digamma), 2e-5],
  ['erfc', lax.erfc, 1e-6],
  ['erfcGrad', derivative(lax.erfc), 1e-6],
]

describe.each(['interpreted', 'compiled'])('lax functions, %s', backend => {
  beforeAll(async () => {
    setBackend(backend === 'compiled' ? new OnnxBackend(await nodeSessions()) : referenceBackend)
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })
  const int = (list: number[]): Tensor => np.array(list, 'int32')
  const matrix = (): Tensor =>
    np.array([
      [1, 3, 3, -2, 5, 0],
      [2, -1, 2, 2, -7, 4],
    ])

  it.each(curves)('%s is JAX’s', async (name, f, within) => {
    const [x, y] = [read(jax[name].x), read(jax[name].y)]
    // JAX's polygamma, the derivative of its digamma, is wrong for negative numbers.
    const known = x.map((_, i) => i).filter(i => name !== 'digammaGrad' || x[i] > 0)
    const got = await jit(f)(np.array(x)).numbers()
    const at = (list: number[]): number[] => known.map(i => list[i])
    expectClose(at(got), at(y), within)
  })

  it('erfc keeps its digits in the tail', async () => {
    const [a, b] = await lax.erfc(np.array([3, 9])).numbers()
    expect(Math.abs(a / 2.209049699858544e-5 - 1)).toBeLessThan(2e-6)
    expect(Math.abs(b / 4.13703174651381e-37 - 1)).toBeLessThan(1e-5)
  })

  it.each(jax.cumulative)('$name along axis $axis, reverse $reverse, and its gradient', async c => {
    const f = (x: Tensor): Tensor => lax[c.name](x, c.axis, { reverse: c.reverse })
    expectClose(await jit(f)(matrix()).numbers(), read(c.y), 1e-6)
    const weights = np.reshape(np.add(np.arange(12), 1), [2, 6])
    const loss = (x: Tensor): Tensor => np.sum(np.multiply(f(x), np.astype(weights, 'float32')))
    expectClose(await jit(grad(loss))(matrix()).numbers(), read(c.grad), 1e-5)
  })

  it('cumlogsumexp stands infinities, and has gradients beside them', async () => {
    const x = np.array([-Infinity, -Infinity, 1, 2])
    const y = await lax.cumlogsumexp(x, 0).numbers()
    expectClose(y, [-Infinity, -Infinity, 1, 2 + Math.log1p(Math.exp(-1))], 1e-6)
    const last = (v: Tensor): Tensor => lax.cumlogsumexp(v, 0).get(3)
    const p = 1 / (1 + Math.exp(1))
    expectClose(await grad(last)(x).numbers(), [0, 0, p, 1 - p], 1e-6)
  })

  it('associativeScan combines in order, for every length, in both directions', async () => {
    // 2x2 matrices: associative, not commutative.
    const combine = (a: { m: Tensor }, b: { m: Tensor }): { m: Tensor } => ({ m: np.matmul(a.m, b.m) })
    for (const n of [1, 2, 3, 4, 5, 8, 11]) {
      const m = np.astype(np.remainder(np.reshape(np.arange(4 * n), [n, 2, 2]), 3), 'float32')
      const steps: number[][] = []
      let product = np.eye(2)
      for (let i = 0; i < n; i++) steps.push(await (product = np.matmul(product, m.get(i))).numbers())
      expect(await lax.associativeScan(combine, { m }).m.numbers()).toEqual(steps.flat())
    }
    expect(await lax.associativeScan(np.add, int([1, 2, 3, 4, 5]), { reverse: true }).numbers()).toEqual([
      15, 14, 12, 9, 5,
    ])
    expect(lax.associativeScan(np.add, np.zeros([0, 3])).shape).toEqual([0, 3])
    expect(await lax.associativeScan(np.add, np.reshape(int([1, 2, 3]), [1, 3]), { axis: 1 }).numbers()).toEqual([
      1, 3, 6,
    ])
    expect(
      await vmap((x: Tensor) => lax.associativeScan(np.add, x))(matrix())
        .get(0)
        .numbers(),
    ).toEqual([1, 4, 7, 5, 10, 10])
  })

  it('dynamicSlice and dynamicUpdateSlice count negative starts from the end, and keep the window inside', async () => {
    const x = np.arange(5)
    for (const [start, first] of [
      [-1, 3],
      [-2, 3],
      [-5, 0],
      [-9, 0],
      [4, 3],
      [1, 1],
    ]) {
      for (const s of [start, np.array(start, 'int32'), np.array(start, 'int64')]) {
        expect(await lax.dynamicSlice(x, [s], [2]).numbers()).toEqual([first, first + 1])
        const updated = [0, 1, 2, 3, 4].map((v, i) => (i === first || i === first + 1 ? 9 : v))
        expect(await lax.dynamicUpdateSlice(x, int([9, 9]), [s]).numbers()).toEqual(updated)
      }
    }
    const read = (v: Tensor, s: Tensor): Tensor => np.sum(lax.dynamicSlice(v, [s], [2]))
    expect(await grad(read)(np.zeros([5]), np.array(-2, 'int32')).numbers()).toEqual([0, 0, 0, 1, 1])
    const windows = vmap((s: Tensor) => lax.dynamicSlice(x, [s], [2]))(int([-1, -3, 1]))
    expect(await windows.numbers()).toEqual([3, 4, 2, 3, 1, 2])
    const write = (u: Tensor, s: Tensor): Tensor =>
      np.sum(np.multiply(lax.dynamicUpdateSlice(np.zeros([5]), u, [s]), np.astype(x, 'float32')))
    expect(await vmap(grad(write))(np.ones([2, 1]), int([-1, -2])).numbers()).toEqual([4, 3])
  })

  it('sort takes several keys, topK any axis', async () => {
    const keys = [int([2, 1, 2, 1]), np.array([3, 9, 1, 9]), int([0, 1, 2, 3])]
    const sorted = await Promise.all(lax.sort(keys, 0, { numKeys: 2 }).map(v => v.numbers()))
    expect(sorted).toEqual([
      [1, 1, 2, 2],
      [9, 9, 1, 3],
      [1, 3, 2, 0],
    ])
    const [values, positions] = lax.topK(matrix(), 1, 0)
    expect(await values.numbers()).toEqual([2, 3, 3, 2, 5, 4])
    expect(await positions.numbers()).toEqual([1, 0, 0, 1, 0, 1])
    expect(lax.topK(matrix(), 2)[0].shape).toEqual([2, 2])
  })

  it('clamp keeps NaN, and has JAX’s gradients', async () => {
    const x = np.array([-2, -1, 0, 1, 2, NaN])
    expect(await lax.clamp(-1, x, 1).numbers()).toEqual([-1, -1, 0, 1, 1, NaN])
    const f = (v: Tensor, low: Tensor): Tensor => np.sum(lax.clamp(low, v, 1))
    const [dx, dlow] = grad(f, { argument: [0, 1] })(x, np.array(-1))
    expect(await dx.numbers()).toEqual([0, 0, 1, 0, 0, 0])
    expect(await dlow.item()).toBe(1)
  })

  it('takes bare numbers wherever an array is', async () => {
    expect(await lax.sin(0).item()).toBe(0)
    expect(await lax.add(1, 2).item()).toBe(3)
    expect(lax.add(int([1]), 2).dtype).toBe('int32')
    expect(await lax.sub(5, int([1, 2])).numbers()).toEqual([4, 3])
    expect(await lax.not(true).item()).toBe(0)
    expect(await lax.select(true, 1, np.array([2, 3])).numbers()).toEqual([1, 1])
    expect(await lax.dynamicUpdateSlice(np.zeros([]), 3, []).item()).toBe(3)
  })
})

describe('lax errors', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })
  const x = (): Tensor => np.array([1, 2, 3])
  const wrong = <T>(value: unknown): T => value as T

  it.each([
    [() => lax.sin(wrong('a')), 'lax.sin: x must be an array or a number, not the string "a"'],
    [() => lax.add(x(), wrong(null)), 'lax.add: y must be an array or a number, not null'],
    [() => lax.add(wrong(undefined), x()), 'lax.add: x must be an array or a number, not undefined'],
    [() => lax.add(np.arange(3), 1.5), 'lax.add: y: int32 cannot hold 1.5'],
    [() => lax.lt(np.arange(3), 3e9), 'lax.lt: y: int32 cannot hold 3000000000'],
    [() => lax.select(wrong('a'), 1, 2), 'lax.select: the condition must be an array or a number, not the string "a"'],
    [() => lax.reshape(x(), wrong(3)), 'lax.reshape: the shape must be a list of whole numbers, not 3'],
    [() => lax.reshape(x(), wrong('3')), 'not the string "3"'],
    [() => lax.slice(x(), [0.5], [2]), 'start must be a list of whole numbers, not [0.5]'],
    [() => lax.concatenate(wrong(x()), 0), 'lax.concatenate: give a list of one array or more'],
    [
      () => lax.concatenate([x(), wrong('b')], 0),
      'lax.concatenate: array 1 must be an array or a number, not the string "b"',
    ],
    [() => lax.dynamicSlice(x(), [0, 0], [1]), 'lax.dynamicSlice: give a start for each axis of f32[3], not 2'],
    [() => lax.dynamicSlice(x(), [np.array(0.5)], [1]), 'start 0 must be an integer scalar, not f32[]'],
    [() => lax.dynamicSlice(x(), [0.5], [1]), 'start 0: int32 cannot hold 0.5'],
    [() => lax.reduceSum(x(), wrong(0)), 'lax.reduceSum: the axes must be a list'],
    [() => lax.cumsum(x(), 3), 'axis 3 is out of bounds for 1 dimensions'],
    [() => lax.sort([x()], 0, { numKeys: 2 }), 'numKeys must be between 1 and 1'],
    [() => lax.lgamma(np.arange(3)), 'lax.lgamma needs floating point, not int32'],
    [() => lax.associativeScan<Tensor>(wrong(3), x()), 'associativeScan: the function must be a function, not 3'],
    [() => lax.associativeScan((a: Tensor) => np.sum(a), x()), 'must return the structure and types of its arguments'],
  ])('%# names what is wrong', (call, message) => {
    expect(call).toThrow(expect.objectContaining({ name: 'ShapeError', message: expect.stringContaining(message) }))
  })
})

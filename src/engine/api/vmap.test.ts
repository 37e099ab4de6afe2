import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tensor } from './tensor.js'
import { customVjp } from './composite.js'
import { jit } from './jit.js'
import * as np from './np.js'
import { grad, makeProgram } from './transforms.js'
import { vmap } from './vmap.js'

const matrix = (): Tensor =>
  np.array([
    [1, 2, 3],
    [4, 5, 6],
  ])

describe('vmap', () => {
  it('maps over the axes asked for', async () => {
    const dot = (x: Tensor, y: Tensor): Tensor => np.sum(np.multiply(x, y))
    expect(await vmap(dot)(matrix(), matrix()).numbers()).toEqual([14, 77])
    expect(await vmap(dot, { in: 1 })(matrix(), matrix()).numbers()).toEqual([17, 29, 45])
    expect(await vmap(dot, { in: [-2, null] })(matrix(), np.array([1, 0, 2])).numbers()).toEqual([7, 16])
    const outer = vmap(
      vmap((x: Tensor, y: Tensor) => np.multiply(x, y), { in: [null, 0] }),
      { in: [0, null], out: -1 },
    )
    expect(await outer(np.array([1, 2, 3]), np.array([10, 20])).numbers()).toEqual([10, 20, 30, 20, 40, 60])
  })

  it('puts any input axis at any output axis', async () => {
    const [at, place] = [fc.integer({ min: -3, max: 2 }), fc.integer({ min: -3, max: 2 })]
    await fc.assert(
      fc.asyncProperty(at, place, async (from, to) => {
        const x = np.reshape(np.arange(24), [2, 3, 4])
        const moved = vmap((row: Tensor) => row, { in: from, out: to })(x)
        const perm = [0, 1, 2].filter(i => i !== (from + 3) % 3)
        perm.splice((to + 3) % 3, 0, (from + 3) % 3)
        expect(moved.shape).toEqual(perm.map(p => x.shape[p]))
        expect(await moved.numbers()).toEqual(await np.transpose(x, perm).numbers())
      }),
      { numRuns: 20 },
    )
  })

  it('maps trees, leaf by leaf if need be', async () => {
    const f = ({ w, b }: { w: Tensor; b: Tensor }, x: Tensor): { y: Tensor; b: Tensor } => ({
      y: np.add(np.sum(np.multiply(w, x)), b),
      b,
    })
    const { y, b } = vmap(f, { in: [{ w: 0, b: null }, 0], out: { y: 0, b: null } })(
      { w: matrix(), b: np.array(1) },
      matrix(),
    )
    expect(await y.numbers()).toEqual([15, 78])
    expect(b.shape).toEqual([])
  })

  it('composes with grad and jit', async () => {
    const loss = (x: Tensor): Tensor => np.sum(np.multiply(x, np.square(x)))
    const expected = [3, 12, 27, 48, 75, 108]
    expect(await vmap(grad(loss))(matrix()).numbers()).toEqual(expected)
    expect(await jit(vmap(jit(grad(loss))))(matrix()).numbers()).toEqual(expected)
    expect(await grad((x: Tensor) => np.sum(vmap(loss)(x)))(matrix()).numbers()).toEqual(expected)
  })

  it('keeps a custom derivative, and sums it over what examples share', async () => {
    const scale = customVjp(
      (w: Tensor, x: Tensor) => np.multiply(w, x),
      (w, x) => [np.multiply(w, x), { w, x }],
      ({ w, x }, ct) => [np.multiply(np.multiply(x, ct), 10), np.multiply(w, ct)],
    )
    const loss = (w: Tensor, x: Tensor): Tensor => np.sum(vmap(scale, { in: [null, 0] })(w, x))
    expect(await grad(loss)(np.array(2), np.array([1, 2, 3])).item()).toBe(60)
    expect(await vmap(grad(scale), { in: [null, 0] })(np.array(2), np.array([1, 2, 3])).numbers()).toEqual([10, 20, 30])
    expect(makeProgram(loss)(np.array(2), np.array([1, 2, 3])).toString()).toContain('composite[name=vmap(')
  })

  it('says what is wrong', () => {
    const add = (x: Tensor, y: Tensor): Tensor => np.add(x, y)
    expect(() => vmap(add)(np.ones([2]), np.ones([3]))).toThrow(
      'different lengths: axis 0 of argument 0, f32[2]; axis 0 of argument 1, f32[3]',
    )
    expect(() => vmap(add, { in: null })(np.ones([2]), np.ones([2]))).toThrow('no argument is mapped')
    expect(() => vmap(add, { in: [0, 1] })(np.ones([2]), np.ones([2]))).toThrow('argument 1, f32[2], has no axis 1')
    expect(() => vmap(add, { in: [0] })(np.ones([2]), np.ones([2]))).toThrow(
      'vmap: `in` is a list of 1, but is for a list of 2',
    )
    expect(() => vmap((x: { a: Tensor }) => x.a, { in: [{ b: 0 }] as never })({ a: np.ones([2]) })).toThrow(
      'vmap: `in` is an object with b, but is for an object with a: give one for each array, or one for all',
    )
    expect(() => vmap(add, { out: null })(np.ones([2]), np.ones([2]))).toThrow('differs between examples')
  })
})

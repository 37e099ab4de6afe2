import { describe, expect, it } from 'vitest'
import type { Tensor } from './tensor.js'
import { jit } from './jit.js'
import { hessian, jacobian } from './jacobian.js'
import * as np from './np.js'

const x = (): Tensor => np.array([1, 2, 3])

describe('jacobian', () => {
  const f = (v: Tensor): Tensor => np.concatenate([np.square(v), np.reshape(np.sum(v), [1])])
  const expected = [2, 0, 0, 0, 4, 0, 0, 0, 6, 1, 1, 1]

  it.each(['forward', 'reverse'] as const)('by %s mode', async mode => {
    const j = jacobian(f, { mode })(x())
    expect(j.shape).toEqual([4, 3])
    expect(await j.numbers()).toEqual(expected)
    expect(await jit(jacobian(f, { mode }))(x()).numbers()).toEqual(expected)
  })

  it.each(['forward', 'reverse'] as const)('has a block for each output and input of trees, by %s mode', async mode => {
    const g = (s: Tensor, { w, b }: { w: Tensor; b: Tensor }): { y: Tensor; z: Tensor } => ({
      y: np.add(np.multiply(np.matmul(w, x()), s), b),
      z: np.sum(w),
    })
    const j = jacobian(g, { argument: 1, mode })(np.array(2), {
      w: np.array([
        [1, 2, 3],
        [4, 5, 6],
      ]),
      b: np.array([1, 1]),
    })
    expect(j.y.w.shape).toEqual([2, 2, 3])
    expect(await j.y.w.numbers()).toEqual([2, 4, 6, 0, 0, 0, 0, 0, 0, 2, 4, 6])
    expect(await j.y.b.numbers()).toEqual([1, 0, 0, 1])
    expect(await j.z.w.numbers()).toEqual([1, 1, 1, 1, 1, 1])
    expect(await j.z.b.numbers()).toEqual([0, 0])
  })

  it('refuses integers', () => {
    expect(() => jacobian((v: Tensor) => v)(np.arange(3))).toThrow('jacobian is not defined for i32[3]')
  })
})

describe('hessian', () => {
  it('is the matrix of second derivatives', async () => {
    const f = (v: Tensor): Tensor => np.sum(np.multiply(np.square(v), np.sum(v)))
    // d2/dxi dxj sum(x^2) sum(x) = 2 (xi + xj) + 2 sum(x) [i = j]
    expect(await hessian(f)(x()).numbers()).toEqual([16, 6, 8, 6, 20, 10, 8, 10, 24])
  })
})

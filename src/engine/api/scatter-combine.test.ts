import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OnnxBackend } from '../compile/onnx/backend.js'
import { nodeSessions } from '../compile/onnx/node.js'
import { referenceBackend } from '../compile/reference/backend.js'
import { setBackend } from './engine.js'
import { jit } from './jit.js'
import * as np from './np.js'
import type { Tensor } from './tensor.js'
import { grad } from './transforms.js'
import { vmap } from './vmap.js'

describe.each(['interpreted', 'compiled'])('x.at(...), %s', backend => {
  beforeAll(async () => {
    setBackend(backend === 'compiled' ? new OnnxBackend(await nodeSessions()) : referenceBackend)
  })
  afterAll(() => {
    setBackend(referenceBackend)
  })
  const x = (): Tensor => np.array([1, 2, 3, 4])
  const int = (list: number[]): Tensor => np.array(list, 'int32')
  // 1 twice, the last element by -1, one out of bounds
  const at = (): Tensor => int([1, -1, 1, 9])
  const values = (): Tensor => np.array([5, 7, 0.5, 100])

  it('takes every value of a repeated position, and leaves positions out of bounds out', async () => {
    const numbers = async (f: (v: Tensor) => Tensor): Promise<number[]> => jit(f)(x()).numbers()
    expect(await numbers(v => v.at(at()).multiply(values()))).toEqual([1, 5, 3, 28])
    expect(await numbers(v => v.at(at()).max(values()))).toEqual([1, 5, 3, 7])
    expect(await numbers(v => v.at(at()).min(values()))).toEqual([1, 0.5, 3, 4])
    expect(await numbers(v => v.at(at()).subtract(values()))).toEqual([1, -3.5, 3, -3])
    expect(await numbers(v => v.at(at()).divide(np.array([4, 8, 2, 1])))).toEqual([1, 0.25, 3, 0.5])
    const [, squared] = await numbers(v => v.at(int([1, 1])).power(np.array([2, 3])))
    expect(squared).toBeCloseTo(64, 4)
    expect(await numbers(v => v.at(at()).get())).toEqual([2, 4, 2, 4])
  })

  it('takes windows, several axes and slices of rows', async () => {
    const m = (): Tensor => np.reshape(np.astype(np.arange(6), 'float32'), [2, 3])
    expect(await m().at(1).multiply(10).numbers()).toEqual([0, 1, 2, 30, 40, 50])
    expect(
      await m()
        .at(':', np.slice(null, null, -2))
        .multiply(np.array([10, 100]))
        .numbers(),
    ).toEqual([0, 1, 20, 300, 4, 50])
    expect(
      await m()
        .at(int([1, 1]), int([2, 2]))
        .multiply(np.array([2, 3]))
        .numbers(),
    ).toEqual([0, 1, 2, 3, 4, 30])
    expect(
      await m()
        .at(':', int([0, 0]))
        .max(np.array([2, 1]))
        .numbers(),
    ).toEqual([2, 1, 2, 3, 4, 5])
    expect(await m().at(0).apply(np.negative).numbers()).toEqual([-0, -1, -2, 3, 4, 5])
    expect(await np.arange(3).at(1).multiply(5).numbers()).toEqual([0, 5, 2])
    expect(await x().at(int([])).multiply(5).numbers()).toEqual([1, 2, 3, 4])
  })

  it('has gradients, and a batch of positions', async () => {
    const f = (v: Tensor, u: Tensor): Tensor => np.sum(v.at(int([1, 1, 2])).multiply(u))
    const [dx, du] = grad(f, { argument: [0, 1] })(x(), np.array([5, 6, 7]))
    expect(await dx.numbers()).toEqual([1, 30, 7, 1])
    expect(await du.numbers()).toEqual([12, 10, 3])
    const each = vmap((i: Tensor) => x().at(i).multiply(10))(int([[0], [2]].flat()))
    expect(await each.numbers()).toEqual([10, 2, 3, 4, 1, 2, 30, 4])
  })

  it('refuses to divide integers', () => {
    expect(() => np.arange(3).at(0).divide(2)).toThrow('at().divide needs floating point, not i32[3]')
  })
})

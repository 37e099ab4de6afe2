import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../compile/reference/backend.js'
import { setBackend } from './engine.js'
import { jit } from './jit.js'
import * as lax from './lax.js'
import * as np from './np.js'
import type { Tensor } from './tensor.js'
import { grad } from './transforms.js'

describe('methods of arrays', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })
  const m = (): Tensor =>
    np.array([
      [1, -2, 3],
      [4, 5, -6],
    ])
  const read = async (x: Tensor): Promise<[readonly number[], number[]]> => [x.shape, await x.numbers()]

  it.each<[string, (x: Tensor) => Tensor, (x: Tensor) => Tensor]>([
    [
      'add, sub, mul, div',
      x => x.add(1).sub(2).mul(x).div(4),
      x => np.divide(np.multiply(np.subtract(np.add(x, 1), 2), x), 4),
    ],
    [
      'subtract, multiply, divide',
      x => x.subtract(2).multiply([1, 2, 3]).divide(4),
      x => np.divide(np.multiply(np.subtract(x, 2), [1, 2, 3]), 4),
    ],
    ['floorDivide, mod', x => x.floorDivide(2).add(x.mod(4)), x => np.add(np.floorDivide(x, 2), np.remainder(x, 4))],
    ['pow, neg, abs', x => x.abs().pow(2).neg(), x => np.negative(np.power(np.abs(x), 2))],
    ['matmul, T', x => x.matmul(x.T), x => np.matmul(x, np.transpose(x))],
    ['clip, round', x => x.div(2).clip(-1, null).round(), x => np.round(np.clip(np.divide(x, 2), -1, null))],
    [
      'comparison, logic',
      x => x.greater(1).logicalAnd(x.notEqual(3)).logicalNot(),
      x => np.logicalNot(np.logicalAnd(np.greater(x, 1), np.notEqual(x, 3))),
    ],
    ['sum', x => x.sum({ axis: 0 }), x => np.sum(x, { axis: 0 })],
    [
      'mean, std, var',
      x =>
        x
          .mean({ axis: -1 })
          .add(x.std())
          .add(x.var({ correction: 1 })),
      x => np.add(np.add(np.mean(x, { axis: -1 }), np.std(x)), np.var(x, { correction: 1 })),
    ],
    [
      'max, min, argmax',
      x => x.max({ axis: 0 }).sub(x.min()).add(x.argmax(0)),
      x => np.add(np.subtract(np.max(x, { axis: 0 }), np.min(x)), np.argmax(x, 0)),
    ],
    ['cumsum, cumprod', x => x.cumsum(0).add(x.cumprod(1)), x => np.add(np.cumsum(x, 0), np.cumprod(x, 1))],
    ['reshape by lengths', x => x.reshape(3, -1), x => np.reshape(x, [3, 2])],
    ['reshape by a shape', x => x.reshape([6]), x => np.ravel(x)],
    ['transpose', x => x.transpose(1, 0).swapaxes(0, 1).transpose([1, 0]), x => np.transpose(x)],
    ['flatten, sort, take', x => x.flatten().sort().take([0, -1]), x => np.take(np.sort(np.ravel(x)), [0, -1])],
    [
      'trace, diagonal, astype',
      x => x.diagonal().sum().add(x.trace()).astype('int32'),
      x => np.astype(np.multiply(np.trace(x), 2), 'int32'),
    ],
  ])('%s', async (_, method, f) => {
    expect(await read(method(m()))).toEqual(await read(f(m())))
    expect(await read(jit(method)(m()))).toEqual(await read(f(m())))
  })

  it('have gradients, and are there on arrays of lax', async () => {
    expect(await grad((x: Tensor) => x.mul(x).sum())(np.array([1, 2])).numbers()).toEqual([2, 4])
    expect(await lax.iota('int32', [3], 0).add(1).numbers()).toEqual([1, 2, 3])
  })

  it('are not listed as an array’s own', () => {
    expect(Object.keys(m())).toEqual(['value'])
    expect(JSON.stringify(m())).toBe('{"dtype":"float32","shape":[2,3]}')
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import type { DType } from '../../../base/dtypes.js'
import { SwitchyardError } from '../../../base/errors.js'
import { referenceBackend } from '../../compile/reference/backend.js'
import { setBackend } from '../engine.js'
import * as lax from '../lax.js'
import * as np from '../np.js'
import { itComputes } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})
const square = () => np.reshape(np.arange(1, 10), [3, 3])

describe('creation', () => {
  itComputes({
    'array of nested lists': [
      () =>
        np.array([
          [1, 2],
          [3, 4],
        ]),
      [
        [1, 2],
        [3, 4],
      ],
    ],
    'full of one value': [
      () => np.full([2, 2], 2.7, 'int32'),
      [
        [2, 2],
        [2, 2],
      ],
    ],
    'zeros, ones and the like': [
      () => np.stack([np.zeros([2]), np.ones([2]), np.onesLike(np.array([5, 6])), np.fullLike(np.array([5, 6]), 3)]),
      [
        [0, 0],
        [1, 1],
        [1, 1],
        [3, 3],
      ],
    ],
    'of one axis, by its length alone': [
      () => np.stack([np.zeros(2), np.ones(2), np.full(2, 3)]),
      [
        [0, 0],
        [1, 1],
        [3, 3],
      ],
    ],
    'arange of a length': [() => np.arange(3), [0, 1, 2]],
    'arange downwards': [() => np.arange(5, 0, -2), [5, 3, 1]],
    'arange by fractions': [() => np.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75]],
    'arange of nothing': [() => np.arange(3, 1), []],
    'linspace, exact at the ends': [() => np.linspace(-0.7, 0.1, 5), [-0.7, -0.5, -0.3, -0.1, 0.1]],
    'linspace without the end': [() => np.linspace(0, 1, 4, { endpoint: false }), [0, 0.25, 0.5, 0.75]],
    eye: [
      () => np.eye(2, 3, { k: 1 }),
      [
        [0, 1, 0],
        [0, 0, 1],
      ],
    ],
    'triu above the diagonal': [
      () => np.triu(square(), 1),
      [
        [0, 2, 3],
        [0, 0, 6],
        [0, 0, 0],
      ],
    ],
    'tril below the diagonal': [
      () => np.tril(square(), -1),
      [
        [0, 0, 0],
        [4, 0, 0],
        [7, 8, 0],
      ],
    ],
    'oneHot, zeros where out of range': [
      () => np.oneHot(np.array([2, 0, 5], 'int32'), 3),
      [
        [0, 0, 1],
        [1, 0, 0],
        [0, 0, 0],
      ],
    ],
    'oneHot along the first axis': [
      () => np.oneHot(np.array([1, 0, 1], 'int32'), 2, { axis: 0 }),
      [
        [0, 1, 0],
        [1, 0, 1],
      ],
    ],
  })

  it('gives dtypes by the values', async () => {
    expect(np.array([1, 2]).dtype).toBe('float32')
    expect(np.array([true]).dtype).toBe('bool')
    expect(np.array([1n, 2]).dtype).toBe('int64')
    expect(np.array([]).dtype).toBe('float32')
    expect([np.full([], true), np.full([], 1n), np.full([], 1)].map(x => x.dtype)).toEqual(['bool', 'int64', 'float32'])
    expect([np.arange(3), np.arange(0.5, 3), np.arange(3, 'float32')].map(x => x.dtype)).toEqual([
      'int32',
      'float32',
      'float32',
    ])
    expect((await np.array([2n ** 53n + 1n]).data()).data[0]).toBe(2n ** 53n + 1n)
    expect((await np.full([], 2n ** 53n + 1n).data()).data[0]).toBe(2n ** 53n + 1n)
    expect(await np.array([3n], 'uint8').numbers()).toEqual([3])
    expect(await np.astype(np.array([NaN, Infinity, -2.5]), 'int64').numbers()).toEqual([0, 2 ** 63, -2])
  })

  it('says what is wrong', () => {
    expect(() => np.array([[1, 2], [3]])).toThrow('ragged')
    expect(() => np.array([[1], 2])).toThrow('ragged: entry [1] is no list')
    expect(() => np.zeros([2, -1])).toThrow('whole numbers of 0 or more, not [2,-1]')
    expect(() => np.ones(1.5)).toThrow('whole numbers of 0 or more, not [1.5]')
    expect(() => np.arange(0, 1, 0)).toThrow('has no end')
    expect(() => np.tril(np.zeros([3]))).toThrow('two axes or more')
  })

  it.each<[string, (dtype: DType) => unknown]>([
    ['array', dtype => np.array([1], dtype)],
    ['array of nothing', dtype => np.array([], dtype)],
    ['zeros', dtype => np.zeros([2], dtype)],
    ['full of a boolean', dtype => np.full([2], true, dtype)],
    ['arange', dtype => np.arange(3, dtype)],
    ['eye', dtype => np.eye(3, 3, { dtype })],
    ['astype', dtype => np.astype(np.array([1]), dtype)],
    ['lax.bitcastConvertType', dtype => lax.bitcastConvertType(np.array([1]), dtype)],
  ])('%s names the dtypes that there are', (_, make) => {
    for (const none of ['float64', 'toString']) {
      expect(() => make(none as DType)).toThrow(SwitchyardError)
      expect(() => make(none as DType)).toThrow(
        `there is no dtype "${none}": choose one of float32, float16, bfloat16, int32, uint32, int64, bool, uint8, int8, uint16`,
      )
    }
  })
})

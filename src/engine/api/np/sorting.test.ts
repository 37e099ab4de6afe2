import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import * as np from '../np.js'
import { grad } from '../transforms.js'
import { itComputes } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})
const x = (): Tensor =>
  np.array([
    [3, 1, 2],
    [0, 5, 0],
  ])

describe('order', () => {
  itComputes({
    sort: [
      () => np.sort(x()),
      [
        [1, 2, 3],
        [0, 0, 5],
      ],
    ],
    'sort along the first axis': [
      () => np.sort(x(), 0),
      [
        [0, 1, 0],
        [3, 5, 2],
      ],
    ],
    'argsort, stable': [
      () => np.argsort(x()),
      [
        [1, 2, 0],
        [0, 2, 1],
      ],
    ],
    'topK values': [
      () => np.topK(x(), 2)[0],
      [
        [3, 2],
        [5, 0],
      ],
    ],
    'topK positions': [
      () => np.topK(x(), 2)[1],
      [
        [0, 2],
        [1, 0],
      ],
    ],
  })

  it('has derivatives', async () => {
    expect(
      await grad((v: Tensor) => np.sum(np.multiply(np.sort(v), np.array([1, 10, 100]))))(np.array([3, 1, 2])).numbers(),
    ).toEqual([100, 1, 10])
  })

  it('says what is wrong', () => {
    expect(() => np.topK(x(), 4)).toThrow('k=4 does not fit the last axis')
    expect(() => np.sort(np.array(1))).toThrow('axis -1 is out of bounds for 0 dimensions')
  })
})

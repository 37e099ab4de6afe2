import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import { setBackend } from '../engine.js'
import * as np from '../np.js'
import { makeProgram } from '../transforms.js'
import { itComputes, numbers } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})

describe('products', () => {
  itComputes({
    'matmul of matrices': [
      () =>
        np.matmul(
          np.array([
            [1, 2],
            [3, 4],
          ]),
          np.array([[5], [6]]),
        ),
      [[17], [39]],
    ],
    'matmul of vectors': [() => np.matmul(np.array([1, 2]), np.array([3, 4])), 11],
    'matmul with a vector on either side': [
      () => np.add(np.matmul(numbers(2, 2), np.array([1, 2])), np.matmul(np.array([1, 2]), numbers(2, 2))),
      [6, 15],
    ],
    'matmul of batches, broadcast': [
      () => np.matmul(np.reshape(np.array([1, 10]), [2, 1, 1, 1]), numbers(2, 1, 2)),
      [
        [[[0, 1]], [[2, 3]]],
        [[[0, 10]], [[20, 30]]],
      ],
    ],
    'tensordot over the last axes': [() => np.tensordot(numbers(2, 3, 4), numbers(3, 4)), [506, 1298]],
    'tensordot over listed axes': [
      () => np.tensordot(numbers(2, 3), numbers(4, 2), [[0], [1]]),
      [
        [3, 9, 15, 21],
        [4, 14, 24, 34],
        [5, 19, 33, 47],
      ],
    ],
    dot: [
      () => np.dot(numbers(2, 3, 4), numbers(4)),
      [
        [14, 38, 62],
        [86, 110, 134],
      ],
    ],
    'dot with a scalar': [() => np.dot(np.array(3), np.array([1, 2])), [3, 6]],
    outer: [
      () => np.outer(np.array([1, 2]), np.array([3, 4, 5])),
      [
        [3, 4, 5],
        [6, 8, 10],
      ],
    ],
  })

  it('multiplies a batch by one matrix without broadcasting it', () => {
    const primitives = makeProgram(np.matmul)(numbers(5, 2, 3), numbers(3, 4)).equations.map(e => e.primitive)
    expect(primitives).toEqual(['dotGeneral'])
  })

  it('says what is wrong', () => {
    expect(() => np.matmul(numbers(2, 3), numbers(2, 3))).toThrow(
      'matmul(f32[2,3], f32[2,3]): the inner lengths 3 and 2 differ',
    )
    expect(() => np.matmul(numbers(2, 1, 3), numbers(3, 3, 1))).toThrow(
      'the shapes [2] and [3] do not broadcast together',
    )
    expect(() => np.matmul(np.array(1), numbers(2, 3))).toThrow('one dimension or more')
    expect(() => np.tensordot(numbers(2, 3), numbers(2, 3), 1)).toThrow('contracted axes [1] and [0] differ in size')
  })
})

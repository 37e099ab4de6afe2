import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import { grad } from '../transforms.js'
import { itComputes } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})
const x = (): Tensor =>
  np.array([
    [1, 5, 3],
    [4, 2, 6],
  ])

describe('reductions', () => {
  itComputes({
    'sum of all': [() => np.sum(x()), 21],
    'sum along axes, kept': [() => np.sum(x(), { axis: [-2], keepdims: true }), [[5, 7, 9]]],
    'sum counts bool': [() => np.sum(np.greater(x(), 2)), 4],
    prod: [() => np.prod(x(), { axis: 1 }), [15, 48]],
    'max and min': [
      () => np.stack([np.max(x(), { axis: 0 }), np.min(x(), { axis: 0 })]),
      [
        [4, 5, 6],
        [1, 2, 3],
      ],
    ],
    'all and any of numbers': [
      () =>
        np.stack([
          np.all(
            np.array([
              [1, 0],
              [2, 3],
            ]),
            { axis: 1 },
          ),
          np.any(
            np.array([
              [1, 0],
              [0, 0],
            ]),
            { axis: 1 },
          ),
        ]),
      [
        [false, true],
        [true, false],
      ],
    ],
    'mean of integers': [
      () =>
        np.mean(
          np.array(
            [
              [1, 2],
              [3, 5],
            ],
            'int32',
          ),
          { axis: 0 },
        ),
      [2, 3.5],
    ],
    'mean of float16 beyond its range': [() => np.mean(np.array([60000, 60000], 'float16')), 60000],
    variance: [() => np.var(x(), { axis: 0 }), [2.25, 2.25, 2.25]],
    'unbiased variance, kept': [() => np.var(x(), { axis: 1, correction: 1, keepdims: true }), [[4], [4]]],
    'standard deviation': [() => np.std(x(), { correction: 1 }), 1.8708287477493286],
    logsumexp: [() => np.logsumexp(x(), { axis: 1 }), [5.1429316284999, 6.142931628499899]],
    'logsumexp, kept, without overflow': [
      () =>
        np.logsumexp(
          np.array([
            [1000, 1000],
            [-Infinity, -Infinity],
          ]),
          { axis: -1, keepdims: true },
        ),
      [[1000.6931471805599], [-Infinity]],
    ],
    'argmax and argmin': [
      () => np.stack([np.argmax(x()), np.argmin(x())]),
      [
        [1, 2],
        [0, 1],
      ],
    ],
    'argmax along the first axis': [() => np.argmax(x(), 0), [1, 0, 1]],
    cumsum: [
      () => np.cumsum(x(), 1),
      [
        [1, 6, 9],
        [4, 6, 12],
      ],
    ],
  })

  it('differentiates logsumexp: softmax, and nothing through the maximum', async () => {
    const gradient = grad((v: Tensor) => np.logsumexp(v))
    const got = await jit(gradient)(np.array([0, Math.log(3)])).numbers()
    expect(got[0]).toBeCloseTo(0.25, 6)
    expect(got[1]).toBeCloseTo(0.75, 6)
    const second = await grad((v: Tensor) => np.sum(np.multiply(gradient(v), np.array([1, 0]))))(
      np.array([0, Math.log(3)]),
    ).numbers()
    expect(second[0]).toBeCloseTo(0.1875, 6)
  })

  it('differentiates the variance', async () => {
    const got = await grad((v: Tensor) => np.var(v))(np.array([1, 2, 6])).numbers()
    ;[-4 / 3, -2 / 3, 2].forEach((v, i) => expect(got[i]).toBeCloseTo(v, 6))
  })

  it('says what is wrong', () => {
    expect(() => np.sum(x(), { axis: 2 })).toThrow('axis 2 is out of bounds for 2 dimensions')
    expect(() => np.sum(x(), { axis: [0, -2] })).toThrow('repeat')
    expect(() => np.max(np.zeros([0, 2]), { axis: 0 })).toThrow('max of [0,2] along [0] is not defined')
  })
})

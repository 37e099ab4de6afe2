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
const int = (...values: number[]): Tensor => np.array(values, 'int32')

describe('element-wise functions', () => {
  itComputes({
    'broadcast both operands': [
      () => np.add(np.array([[1], [2]]), np.array([10, 20])),
      [
        [11, 21],
        [12, 22],
      ],
    ],
    'floorDivide integers': [() => np.floorDivide(int(-7, 7, -7, 7), int(2, 2, -2, -2)), [-4, 3, 3, -4]],
    'floorDivide floats': [() => np.floorDivide(np.array([-7, 7.5]), 2), [-4, 3]],
    'remainder with the sign of the divisor': [
      () => np.remainder(int(-7, 7, -7, 7), int(2, 2, -2, -2)),
      [1, 1, -1, -1],
    ],
    'remainder of floats': [() => np.remainder(np.array([-5.5, 5.5]), 2), [0.5, 1.5]],
    'logical functions of numbers': [
      () => np.logicalAnd(np.array([0, 2, 4]), np.array([1, 0, 3])),
      [false, false, true],
    ],
    bits: [() => np.bitwiseXor(np.bitwiseOr(int(12), 3), np.bitwiseAnd(int(10), 6)), [13]],
    shifts: [() => np.rightShift(np.leftShift(int(-3, 5), 2), 1), [-6, 10]],
    trunc: [() => np.trunc(np.array([-1.5, 1.5])), [-1, 1]],
    'round half to even': [() => np.round(np.array([0.5, 1.5, -2.5])), [0, 2, -2]],
    'exp2, log2, log10': [
      () =>
        np
          .stack([np.exp2(np.array(3)), np.log2(np.array(8)), np.log10(np.array(1000))])
          .at()
          .add(1e-3),
      [8.001, 3.001, 3.001],
    ],
    tan: [() => np.tan(np.array(0.5)), 0.5463024898437905],
    erf: [() => np.erf(np.array([0.5, -1])), [0.5204998778130465, -0.8427007929497149]],
    'reciprocal of integers': [() => np.reciprocal(int(4)), [0.25]],
    isNan: [() => np.isNan(np.array([NaN, Infinity, 1])), [true, false, false]],
    isInf: [() => np.isInf(np.array([NaN, -Infinity, 1])), [false, true, false]],
    isFinite: [() => np.isFinite(np.array([NaN, Infinity, 1])), [false, false, true]],
    'clip on both sides, and on one': [
      () => np.stack([np.clip(int(-5, 0, 5), -1, 2), np.clip(int(-5, 0, 5), null, 2)]),
      [
        [-1, 0, 2],
        [-5, 0, 2],
      ],
    ],
    'logaddexp without overflow': [
      () => np.logaddexp(np.array([0, 1000, -1000]), np.array([0, 1001, 3])),
      [0.6931471805599453, 1001.3132616875182, 3],
    ],
    'logaddexp of infinities': [
      () => np.logaddexp(np.array([-Infinity, Infinity]), np.array([-Infinity, Infinity])),
      [-Infinity, Infinity],
    ],
    'where, broadcast': [
      () => np.where(np.array([[true], [false]]), np.array([1, 2]), 0),
      [
        [1, 2],
        [0, 0],
      ],
    ],
    'astype to integers': [() => np.astype(np.array([-1.7, 1.7]), 'int32'), [-1, 1]],
  })

  it('finds the common dtype', () => {
    const dtype = (x: Tensor): string => x.dtype
    expect(dtype(np.add(int(1), 1))).toBe('int32')
    expect(dtype(np.add(int(1), 0.5))).toBe('float32')
    expect(dtype(np.add(int(1), 1n))).toBe('int64')
    expect(dtype(np.add(np.array([1], 'bfloat16'), 0.5))).toBe('bfloat16')
    expect(dtype(np.add(np.array([1], 'bfloat16'), np.array([1], 'float16')))).toBe('float32')
    expect(dtype(np.add(np.array([1], 'uint32'), int(1)))).toBe('int64')
    expect(dtype(np.multiply(np.array([true]), 2))).toBe('int32')
    expect(dtype(np.where(np.array(true), 1, 2))).toBe('float32')
    expect(dtype(np.divide(int(1), 2))).toBe('float32')
    expect(dtype(np.exp(int(1)))).toBe('float32')
    expect(dtype(np.less(int(1), 0.5))).toBe('bool')
  })

  it('differentiates logaddexp, infinities included', async () => {
    const f = (x: Tensor): Tensor => np.sum(np.logaddexp(x, np.array([0, 2, -Infinity])))
    const [, b] = [1, 1 / (1 + Math.exp(1))]
    const got = await grad(f)(np.array([0, 1, -Infinity])).numbers()
    expect(got[0]).toBeCloseTo(0.5, 6)
    expect(got[1]).toBeCloseTo(b, 6)
    expect(got[2]).toBeCloseTo(0.5, 6)
  })

  it('says what is wrong', () => {
    expect(() => np.add(np.zeros([2]), np.zeros([3]))).toThrow('the shapes [2] and [3] do not broadcast together')
    expect(() => np.bitwiseAnd(np.zeros([2]), 1)).toThrow('and(f32[2], f32[2]): not defined for float32')
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import * as lax from '../lax.js'
import * as np from '../np.js'
import { grad } from '../transforms.js'

describe('lax', () => {
  beforeAll(() => {
    setBackend(referenceBackend)
  })

  it('is the primitives, strict about shapes and dtypes', async () => {
    const x = np.array([-7, 7], 'int32')
    expect(await lax.rem(x, 3).numbers()).toEqual([-1, 1]) // C's, where np.remainder is Python's
    expect(await lax.pad(np.array([1, 2]), 9, [1], [-1], [1]).numbers()).toEqual([9, 1, 9])
    expect(await lax.dynamicSlice(np.arange(5), [np.array(9, 'int32')], [2]).numbers()).toEqual([3, 4])
    expect(await lax.cumsum(np.arange(4), 0, { reverse: true }).numbers()).toEqual([6, 6, 5, 3])
    expect(await lax.sort([np.array([3, 1, 2]), np.array([0, 1, 2])], 0)[1].numbers()).toEqual([1, 2, 0])
    expect(await lax.bitcastConvertType(np.array([1]), 'int32').item()).toBe(0x3f800000)
    expect(() => lax.add(np.zeros([2]), np.zeros([1]))).toThrow('add(f32[2], f32[1]): the operands must have one shape')
    expect(() => lax.add(x, np.zeros([2]))).toThrow('one dtype')
  })

  it('stops gradients', async () => {
    expect(await grad((x: Tensor) => np.multiply(x, lax.stopGradient(x)))(np.array(3)).item()).toBe(3)
  })
})

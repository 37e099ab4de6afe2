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
const x = (): Tensor => np.reshape(np.arange(6), [2, 3])
const deep = (): Tensor => np.zeros([2, 3, 4, 5])

describe('shapes', () => {
  itComputes({
    'reshape with a length worked out': [
      () => np.reshape(x(), [3, -1]),
      [
        [0, 1],
        [2, 3],
        [4, 5],
      ],
    ],
    ravel: [() => np.ravel(x()), [0, 1, 2, 3, 4, 5]],
    transpose: [
      () => np.transpose(x()),
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    ],
    swapaxes: [
      () => np.swapaxes(x(), 0, -1),
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    ],
    'reshape to one axis': [() => np.reshape(np.reshape(x(), -1), 6), [0, 1, 2, 3, 4, 5]],
    'broadcastTo one axis': [() => np.broadcastTo(np.array(4), 3), [4, 4, 4]],
    broadcastTo: [
      () => np.broadcastTo(np.array([[1], [2]]), [2, 2, 2]),
      [
        [
          [1, 1],
          [2, 2],
        ],
        [
          [1, 1],
          [2, 2],
        ],
      ],
    ],
    'concatenate, to a common dtype': [
      () => np.concatenate([x(), np.array([[0.5], [1.5]])], 1),
      [
        [0, 1, 2, 0.5],
        [3, 4, 5, 1.5],
      ],
    ],
    'stack along the last axis': [
      () => np.stack([np.array([1, 2]), np.array([3, 4])], -1),
      [
        [1, 3],
        [2, 4],
      ],
    ],
    'split into equal parts': [() => np.split(x(), 3, 1)[2], [[2], [5]]],
    'split at positions': [() => np.concatenate(np.split(np.arange(5), [1, 3]).toReversed()), [3, 4, 1, 2, 0]],
    'pad all ends': [
      () => np.pad(np.array([[1]]), 1),
      [
        [0, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
      ],
    ],
    'pad each axis': [
      () =>
        np.pad(
          np.array([[1, 2]]),
          [
            [0, 1],
            [2, 0],
          ],
          9,
        ),
      [
        [9, 9, 1, 2],
        [9, 9, 9, 9],
      ],
    ],
    'pad all axes alike': [
      () => np.pad(np.array([[1]]), [1, 0]),
      [
        [0, 0],
        [0, 1],
      ],
    ],
    flip: [
      () => np.flip(x(), 1),
      [
        [2, 1, 0],
        [5, 4, 3],
      ],
    ],
    'flip all axes': [
      () => np.flip(x()),
      [
        [5, 4, 3],
        [2, 1, 0],
      ],
    ],
    roll: [
      () => np.roll(x(), 1, 1),
      [
        [2, 0, 1],
        [5, 3, 4],
      ],
    ],
    'roll back, more than once around': [() => np.roll(np.arange(4), -5, 0), [1, 2, 3, 0]],
    tile: [
      () => np.tile(np.arange(3), [2, 2]),
      [
        [0, 1, 2, 0, 1, 2],
        [0, 1, 2, 0, 1, 2],
      ],
    ],
    'tile the last axis': [
      () => np.tile(np.array([[1], [2]]), 2),
      [
        [1, 1],
        [2, 2],
      ],
    ],
    repeat: [
      () => np.repeat(np.reshape(np.arange(4), [2, 2]), 2, 0),
      [
        [0, 1],
        [0, 1],
        [2, 3],
        [2, 3],
      ],
    ],
  })

  it('moves, adds and drops axes', async () => {
    expect(np.moveaxis(deep(), [0, 1], [-1, 0]).shape).toEqual([3, 4, 5, 2])
    expect(np.moveaxis(deep(), 3, 1).shape).toEqual([2, 5, 3, 4])
    expect(np.expandDims(x(), [0, -1]).shape).toEqual([1, 2, 3, 1])
    expect(np.expandDims(x(), 1).shape).toEqual([2, 1, 3])
    expect(np.squeeze(np.zeros([1, 2, 1])).shape).toEqual([2])
    expect(np.squeeze(np.zeros([1, 2, 1]), -1).shape).toEqual([1, 2])
  })

  it('has derivatives', async () => {
    const f = (v: Tensor): Tensor =>
      np.sum(np.multiply(np.concatenate([np.tile(v, 2), np.roll(v, 1, 0), np.pad(v, 1)]), np.arange(10, 'float32')))
    expect(await grad(f)(np.array([1, 2])).numbers()).toEqual([0 + 2 + 5 + 7, 1 + 3 + 4 + 8])
  })

  it('says what is wrong', () => {
    expect(() => np.reshape(x(), [4, -1])).toThrow('cannot reshape i32[2,3] to [4,-1]: 6 elements do not divide by 4')
    expect(() => np.reshape(x(), [-1, -1])).toThrow('only one length')
    expect(() => np.transpose(x(), [0, 0])).toThrow('repeat')
    expect(() => np.transpose(x(), [0])).toThrow('must name every axis')
    expect(() => np.squeeze(x(), 0)).toThrow('not all of length 1')
    expect(() => np.broadcastTo(x(), [3, 3])).toThrow('do not broadcast')
    expect(() => np.broadcastTo(np.zeros([2, 3]), [1, 3])).toThrow('[2,3] does not broadcast to [1,3]')
    expect(() => np.concatenate([x(), np.zeros([2, 2])])).toThrow('operands differ outside axis 0')
    expect(() => np.concatenate([])).toThrow('an array or more')
    expect(() => np.split(x(), 2, 1)).toThrow('cannot split an axis of length 3 into 2 equal parts')
    expect(() => np.split(x(), [2, 1], 1)).toThrow('must rise within 0..3')
    expect(() => np.pad(x(), [[1, 1]])).toThrow('a pair of widths for each axis')
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import { referenceBackend } from '../../compile/reference/backend.js'
import type { Tensor } from '../tensor.js'
import { setBackend } from '../engine.js'
import { jit } from '../jit.js'
import * as np from '../np.js'
import { grad } from '../transforms.js'
import { vmap } from '../vmap.js'
import { itComputes } from '../../../../test/conformance/np.js'

beforeAll(() => {
  setBackend(referenceBackend)
})
const { slice } = np
const int = (nested: np.Nested): Tensor => np.array(nested, 'int32')
const a = (): Tensor => np.reshape(np.arange(24), [2, 3, 4])
const i = (): Tensor => int([2, 0])
const parity = (): Tensor => int([0, 0])
const flat = (): Tensor => np.zeros([3, 4], 'int32')
const deep = (): Tensor => np.zeros([2, 3, 4], 'int32')

describe('get', () => {
  itComputes({
    'a number drops the axis': [
      () => a().get(1),
      [
        [12, 13, 14, 15],
        [16, 17, 18, 19],
        [20, 21, 22, 23],
      ],
    ],
    'slices, also backwards': [
      () => a().get(':', slice(1), slice(null, null, -2)),
      [
        [
          [7, 5],
          [11, 9],
        ],
        [
          [19, 17],
          [23, 21],
        ],
      ],
    ],
    'a slice from the end': [
      () => a().get(':', slice(-1, 0, -1), 3),
      [
        [11, 7],
        [23, 19],
      ],
    ],
    'a slice beyond the ends': [() => np.arange(4).get(slice(-9, 9)), [0, 1, 2, 3]],
    'an empty slice': [() => np.arange(4).get(slice(3, 1)), []],
    'a list takes its positions': [() => np.arange(4).get([0, -1]), [0, 3]],
    'a nested list': [() => np.arange(4).get([[2], [0]]), [[2], [0]]],
    'a list of arrays and numbers': [() => np.arange(4).get([int(2), 1]), [2, 1]],
    'an empty list': [() => np.arange(4).get([]), []],
    'two lists': [
      () => a().get([0, 1], ':', [3, -1]),
      [
        [3, 7, 11],
        [15, 19, 23],
      ],
    ],
    'an ellipsis': [
      () => a().get('...', -1),
      [
        [3, 7, 11],
        [15, 19, 23],
      ],
    ],
    'new axes': [() => a().get(null, 0, null, 2), [[[8, 9, 10, 11]]]],
    'positions in an array': [
      () => a().get(':', i()),
      [
        [
          [8, 9, 10, 11],
          [0, 1, 2, 3],
        ],
        [
          [20, 21, 22, 23],
          [12, 13, 14, 15],
        ],
      ],
    ],
    'a number beside positions': [
      () => a().get(0, i()),
      [
        [8, 9, 10, 11],
        [0, 1, 2, 3],
      ],
    ],
    'a number apart from positions': [
      () => a().get(0, ':', i()),
      [
        [2, 6, 10],
        [0, 4, 8],
      ],
    ],
    'two arrays apart': [
      () => a().get(parity(), ':', i()),
      [
        [2, 6, 10],
        [0, 4, 8],
      ],
    ],
    'two arrays, broadcast': [
      () => a().get(':', i(), int([[1], [0]])),
      [
        [
          [9, 1],
          [8, 0],
        ],
        [
          [21, 13],
          [20, 12],
        ],
      ],
    ],
    'arrays on every axis': [
      () => a().get(1, i(), int([[1], [0]])),
      [
        [21, 13],
        [20, 12],
      ],
    ],
    'negative positions': [() => a().get(0, int([-1, -3]), 1), [9, 1]],
    'a scalar array': [() => a().get(0, int(2), slice(1, 3)), [9, 10]],
    'positions out of bounds move to the edge': [() => np.arange(4).get(int([9, -9])), [3, 0]],
  })

  it('places new axes and grids as NumPy does', () => {
    expect(a().get(':', null, i()).shape).toEqual([2, 1, 2, 4])
    expect(a().get(parity(), null, ':', i()).shape).toEqual([2, 1, 3])
  })

  it('says what is wrong', () => {
    expect(() => a().get(2)).toThrow('index 2 is out of bounds for axis 0 of i32[2,3,4]')
    expect(() => a().get(0, 0, 0, 0)).toThrow('4 indices are too many for i32[2,3,4]')
    expect(() => a().get('...', '...')).toThrow('only once')
    expect(() => a().get(np.greater(a(), 3))).toThrow('use np.where')
    expect(() => slice(0, 1, 0)).toThrow('other than 0')
    expect(() => a().get(i(), int([0, 1, 2]))).toThrow('do not broadcast together')
  })
})

describe('at', () => {
  itComputes({
    'set a window': [
      () =>
        flat()
          .at(slice(1, 3), 1)
          .set(int([7, 8])),
      [
        [0, 0, 0, 0],
        [0, 7, 0, 0],
        [0, 8, 0, 0],
      ],
    ],
    'set by steps, backwards': [
      () =>
        flat()
          .at(slice(null, null, -2), slice(1, 3))
          .set(
            int([
              [1, 2],
              [3, 4],
            ]),
          ),
      [
        [0, 3, 4, 0],
        [0, 0, 0, 0],
        [0, 1, 2, 0],
      ],
    ],
    'set one number': [
      () =>
        flat()
          .at(1, slice(null, null, 2))
          .set(5),
      [
        [0, 0, 0, 0],
        [5, 0, 5, 0],
        [0, 0, 0, 0],
      ],
    ],
    'set rows in an array, and a window': [
      () =>
        flat()
          .at(i(), slice(1, 3))
          .set(
            int([
              [1, 2],
              [3, 4],
            ]),
          ),
      [
        [0, 3, 4, 0],
        [0, 0, 0, 0],
        [0, 1, 2, 0],
      ],
    ],
    'set a window, and columns in an array': [
      () =>
        flat()
          .at(slice(1), int([3, 0]))
          .set(
            int([
              [1, 2],
              [3, 4],
            ]),
          ),
      [
        [0, 0, 0, 0],
        [2, 0, 0, 1],
        [4, 0, 0, 3],
      ],
    ],
    'set where arrays stand apart': [
      () =>
        deep()
          .at(parity(), ':', i())
          .set(np.reshape(np.arange(6), [2, 3])),
      [
        [
          [3, 0, 0, 0],
          [4, 0, 1, 0],
          [5, 0, 2, 0],
        ],
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
      ],
    ],
    'set with a new axis': [
      () =>
        deep()
          .at(1, null, 2, slice(null, null, -1))
          .set(np.arange(4)),
      [
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 0, 0, 0],
        ],
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [3, 2, 1, 0],
        ],
      ],
    ],
    'add for each time that a position is named': [
      () =>
        flat()
          .at(int([1, 1, 2]), int([0, 0, 3]))
          .add(int([1, 2, 5])),
      [
        [0, 0, 0, 0],
        [3, 0, 0, 0],
        [0, 0, 0, 5],
      ],
    ],
    'add to windows of repeated rows': [
      () =>
        deep()
          .at(':', int([2, 2]), slice(1, 3))
          .add(np.reshape(np.arange(8), [2, 2, 2])),
      [
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 2, 4, 0],
        ],
        [
          [0, 0, 0, 0],
          [0, 0, 0, 0],
          [0, 10, 12, 0],
        ],
      ],
    ],
    'add to a window by steps': [
      () =>
        np
          .ones([5])
          .at(slice(4, null, -2))
          .add(np.array([1, 2, 3])),
      [4, 1, 3, 1, 2],
    ],
    'add everywhere': [() => np.arange(3).at().add(10), [10, 11, 12]],
    'nothing in an empty window': [() => np.arange(3).at(slice(2, 1)).set(9), [0, 1, 2]],
    'positions out of bounds are left out': [
      () =>
        np
          .arange(3)
          .at(int([7, -1]))
          .set(9),
      [0, 1, 9],
    ],
    "the array's dtype stays": [() => np.arange(3).at(0).set(np.array(2.7)), [2, 1, 2]],
  })

  it('has derivatives, under jit and vmap too', async () => {
    const x = np.array([1, 2, 3, 4])
    const weight = np.array([1, 10, 100, 1000])
    const f = (v: Tensor): Tensor =>
      np.sum(np.multiply(v.at(slice(1, 3)).set(np.multiply(v.get(slice(null, 2)), 3)), weight))
    expect(await grad(f)(x).numbers()).toEqual([1 + 30, 300, 0, 1000])
    const g = (v: Tensor): Tensor => np.sum(np.multiply(v.at(int([0, 0])).add(v.get(int([3, -2]))), weight))
    expect(await jit(grad(g))(x).numbers()).toEqual([1, 10, 101, 1001])
    const pick = (v: Tensor, at: Tensor): Tensor => v.get(at)
    expect(await jit(vmap(pick, { in: [null, 0] }))(x, int([3, 0])).numbers()).toEqual([4, 1])
    expect(
      await vmap((v: Tensor) => v.at(slice(null, null, 2)).set(0))(
        np.array([
          [1, 2],
          [3, 4],
        ]),
      ).numbers(),
    ).toEqual([0, 2, 0, 4])
  })

  it('says what is wrong', () => {
    expect(() =>
      flat()
        .at(0)
        .set(np.zeros([3])),
    ).toThrow('do not broadcast')
    expect(() =>
      flat()
        .at(0)
        .set(np.zeros([2, 4])),
    ).toThrow('[2,4] does not broadcast to [4]')
    const get = (index: unknown) => () => np.arange(4).get(index as number)
    expect(get([0.5])).toThrow('positions must be integers, not float32')
    expect(get([true, false])).toThrow('a boolean mask')
    expect(get(['a'])).toThrow('the string "a"')
    expect(get({})).toThrow('a plain object')
    for (const index of [undefined, true, 1n, 'a', Math.sin]) expect(get(index)).toThrow('an index is a whole number')
    expect(get(0.5)).toThrow('index 0.5 is out of bounds')
  })

  it('changes the places of a list', async () => {
    expect(await np.zeros([3]).at([0, -1, 0]).add(1).numbers()).toEqual([2, 0, 1])
  })
})

describe('take', () => {
  const m = (): Tensor =>
    np.array([
      [1, 5, 3],
      [4, 2, 6],
    ])
  itComputes({
    'rows along an axis': [() => np.take(m(), int([[2, 0]]), 1), [[[3, 1]], [[6, 4]]]],
    'take counts negative positions from the end and moves others to the edge': [
      () => np.take(np.arange(3), int([-1, -3, 5, -9])),
      [2, 0, 2, 0],
    ],
    'take fills as JAX does': [
      () => np.take(np.array([0, 1, 2]), int([-1, -3, -4, 3]), 0, { mode: 'fill' }),
      [2, 0, NaN, NaN],
    ],
    'take fills int32 with the least': [() => np.take(int([1, 2]), int([1, 2]), 0, { mode: 'fill' }), [2, -(2 ** 31)]],
    'take fills uint8 with the greatest': [
      () => np.take(np.array([1, 2], 'uint8'), int([1, -3]), 0, { mode: 'fill' }),
      [2, 255],
    ],
    'take fills bool with true': [() => np.take(np.array([false]), int([0, 1]), 0, { mode: 'fill' }), [false, true]],
    'take fills columns with a value': [
      () => m().take([[5, 0]], 1, { mode: 'fill', fillValue: -1 }),
      [[[-1, 1]], [[-1, 4]]],
    ],
    takeAlongAxis: [
      () =>
        np.takeAlongAxis(
          m(),
          int([
            [2, 0],
            [0, 1],
          ]),
        ),
      [
        [3, 1],
        [4, 2],
      ],
    ],
    'takeAlongAxis of the first axis': [() => np.takeAlongAxis(m(), int([[1, 0, 1]]), 0), [[4, 5, 6]]],
  })

  it('takes what argsort and argmax point to, with derivatives', async () => {
    const best = (x: Tensor): Tensor => np.sum(np.takeAlongAxis(x, np.expandDims(np.argmax(x), -1)))
    expect(await grad(best)(m()).numbers()).toEqual([0, 1, 0, 0, 0, 1])
    expect(await np.takeAlongAxis(m(), np.argsort(m())).numbers()).toEqual([1, 3, 5, 2, 4, 6])
    expect(() => np.takeAlongAxis(m(), int([[0], [0], [0]]))).toThrow('may differ in axis 1 only')
  })
})

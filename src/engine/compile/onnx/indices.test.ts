import { describe, expect, it } from 'vitest'
import type { DType } from '../../../base/dtypes.js'
import type { Tensor } from '../../api/tensor.js'
import { TensorType } from '../../api/eval-shape.js'
import { jit } from '../../api/jit.js'
import * as lax from '../../api/lax.js'
import * as np from '../../api/np.js'
import { specialize } from '../../api/specialize.js'

/** 3, 0, 2, 1, 4 as places. */
const keys = (): Tensor => np.array([2, 4, 3, 1, 5])
const table = (): Tensor => np.array([10, 11, 12])

// What sorting gives is known to lie inside the sorted axis, and is not clamped there.
describe('places that sorting gives', () => {
  it('are clamped, dropped or filled where another array is shorter', async () => {
    const at = (x: Tensor): Tensor => np.expandDims(np.argsort(x), 1)
    const gather = (mode: 'clip' | 'fill') =>
      jit((t: Tensor, x: Tensor) => lax.gather(t, at(x), { axes: [0], batchDims: 0, mode }))
    expect(await gather('clip')(table(), keys()).numbers()).toEqual([12, 10, 12, 11, 12])
    expect(await gather('fill')(table(), keys()).numbers()).toEqual([0, 10, 12, 11, 0])
    const scatter = jit((t: Tensor, x: Tensor) =>
      lax.scatter(t, at(x), np.arange(1, 6, 1, 'float32'), { axes: [0], batchDims: 0, mode: 'drop' }),
    )
    expect(await scatter(table(), keys()).numbers()).toEqual([2, 4, 3])
  })

  it('are clamped at sizes where they reach outside, though they do not in the examples of a bound function', async () => {
    const types = (rows: number, count: number): TensorType[] => [
      new TensorType('float32', [rows]),
      new TensorType('float32', [count]),
    ]
    const f = specialize(
      (_: Tensor, t: Tensor, x: Tensor) => np.take(t, np.argsort(x), 0),
      [types(5, 3), types(211, 101), types(2003, 1009)],
    )
    expect(await f(table(), table(), keys()).numbers()).toEqual([12, 10, 12, 11, 12])
  })

  it.each(['bool', 'int8', 'uint8', 'uint32', 'float32'] as DType[])('are what %s makes of them', async dtype => {
    const f = (x: Tensor): Tensor => np.astype(np.astype(np.argsort(x), dtype), 'int32')
    const x = np.negative(np.arange(300))
    const places = Array.from({ length: 300 }, (_, i) => 299 - i)
    const wrap: { [name: string]: (n: number) => number } = {
      bool: n => Number(n !== 0),
      int8: n => (n << 24) >> 24,
      uint8: n => n & 255,
    }
    expect(await jit(f)(x).numbers()).toEqual(places.map(wrap[dtype] ?? (n => n)))
  })
})

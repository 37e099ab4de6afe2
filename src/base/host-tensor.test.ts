import { expect, it } from 'vitest'
import { fromBfloat16Bits } from './dtypes.js'
import { castHost } from './host-tensor.js'

it('casts every bfloat16 to the float32 that has its bits, NaNs with their payloads', () => {
  // A view that does not begin where its memory begins.
  const data = new Uint16Array(2 ** 16 + 1).subarray(1)
  data.forEach((_, i) => (data[i] = i))
  const cast = castHost({ dtype: 'bfloat16', shape: [2 ** 16], data }, 'float32').data as Float32Array
  expect(cast.every((value, i) => Object.is(value, fromBfloat16Bits(i)))).toBe(true)
  expect(Array.from(new Uint32Array(cast.buffer), bits => bits / 2 ** 16)).toEqual(Array.from(data))
})

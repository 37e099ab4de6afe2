import { expect, it } from 'vitest'
import * as np from '../np.js'

// NumPy 2.4 gives one NaN in each of these.
it('all NaN are one element of a set', async () => {
  const size = { size: 4, fillValue: 0 }
  expect(await np.setdiff1d([NaN, 3, NaN, 1], [1], size).numbers()).toEqual([3, NaN, 0, 0])
  expect(await np.setxor1d([NaN, NaN, 1, 2], [1], size).numbers()).toEqual([2, NaN, 0, 0])
  expect(await np.unique([NaN, 3, NaN, 1], size).numbers()).toEqual([1, 3, NaN, 0])
})

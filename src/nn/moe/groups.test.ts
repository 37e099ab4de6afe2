import { describe, expect, it } from 'vitest'
import * as np from '../../engine/api/np.js'
import { evenGroups, expertCapacity, fewestGroups, fromGroups, toGroups } from './groups.js'

describe('token groups', () => {
  it('are the smallest multiple of the experts with groups of at most the given size', () => {
    expect(evenGroups(4, 16, 4, 8192)).toEqual({ batch: 4, length: 16, numGroups: 4, tokensPerGroup: 16 })
    expect(evenGroups(4, 16, 4, 8)).toMatchObject({ numGroups: 8, tokensPerGroup: 8 })
    // 64 tokens of at most 5: 12 groups do not divide 64, 16 is the next number that does.
    expect(evenGroups(4, 16, 4, 5)).toMatchObject({ numGroups: 16, tokensPerGroup: 4 })
  })

  it('are made equal by added positions, or by added rows if those are fewer tokens', () => {
    // 21 tokens, 4 experts: one row of 7 gives 28, one position of 3 gives 24.
    expect(evenGroups(3, 7, 4, 8192)).toEqual({ batch: 3, length: 8, numGroups: 4, tokensPerGroup: 6 })
    // 9 * 3 = 27: one row of 3 gives 30, no; three rows 36; one position of 9 gives 36: a tie, and positions win.
    expect(evenGroups(9, 3, 4, 8192)).toMatchObject({ batch: 9, length: 4 })
    expect(evenGroups(7, 3, 4, 8192)).toMatchObject({ batch: 8, length: 3 })
  })

  it('hold the tokens in order and give them back', async () => {
    const groups = evenGroups(3, 7, 4, 8192)
    const x = np.reshape(np.arange(21, 'float32'), [3, 7, 1])
    const grouped = toGroups(x, groups)
    expect(grouped.shape).toEqual([4, 6, 1])
    expect((await grouped.numbers()).slice(0, 9)).toEqual([0, 1, 2, 3, 4, 5, 6, 0, 7])
    expect(await fromGroups(grouped, groups, 3, 7).numbers()).toEqual(await x.numbers())
  })
})

describe('expert capacity', () => {
  it('is rounded half to even and has a minimum', () => {
    expect(expertCapacity(1.25, 16, 4, 1)).toBe(5)
    expect(expertCapacity(1.25, 8, 4, 1)).toBe(2) // 2.5
    expect(expertCapacity(1.75, 8, 4, 1)).toBe(4) // 3.5
    expect(expertCapacity(1.25, 8, 4, 4)).toBe(4)
  })
})

it('makes as few groups as divide the batch', () => {
  expect(fewestGroups(16, 64, 8192)).toEqual({ batch: 16, length: 64, numGroups: 1, tokensPerGroup: 1024 })
  expect(fewestGroups(3, 8, 10)).toMatchObject({ numGroups: 3, tokensPerGroup: 8 })
  expect(fewestGroups(5, 5, 10)).toMatchObject({ numGroups: 5, tokensPerGroup: 5 })
  expect(() => fewestGroups(1, 1031, 1024)).toThrow('a batch of 1 x 1031 tokens cannot be divided evenly')
})

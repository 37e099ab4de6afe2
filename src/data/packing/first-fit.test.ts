import { describe, expect, it } from 'vitest'
import { FirstFit } from './first-fit.js'

describe('FirstFit', () => {
  it('tries only the rows of its window, and none beyond its number', () => {
    const fit = new FirstFit([4], 3, 2)
    expect([[3], [4], [2], [1], [2], [1]].map(size => fit.place(size))).toEqual([0, 1, 2, 2, -1, 2])
    expect(new FirstFit([4], 3).place([1])).toBe(0)
    const wide = new FirstFit([4], 3)
    expect([[3], [4], [2], [1]].map(size => wide.place(size))).toEqual([0, 1, 2, 0])
  })

  it('is full when every row lacks room in some feature', () => {
    const fit = new FirstFit([2, 2], 2)
    fit.place([2, 1])
    expect(fit.full).toBe(false)
    fit.place([1, 2])
    expect(fit.full).toBe(true)
  })
})

import { describe, expect, it } from 'vitest'
import { bucket, Rows } from './rows.js'

describe('Rows', () => {
  it('gives the first free rows that lie side by side', () => {
    const rows = new Rows()
    expect([rows.take(2, 8), rows.take(3, 8), rows.take(1, 8)]).toEqual([0, 2, 5])
    rows.free(2, 3)
    expect(rows.numTaken).toBe(3)
    // Rows 2 to 4 are free, and 6 and 7.
    expect([rows.take(4, 8), rows.take(2, 8), rows.take(2, 8), rows.take(1, 8)]).toEqual([null, 2, 6, 4])
    expect(rows.take(1, 8)).toBe(null)
    expect(rows.take(1, 9)).toBe(8)
    rows.clear()
    expect([rows.numTaken, rows.take(4, 4)]).toEqual([0, 0])
  })
})

it('rounds sizes up to powers of two, from the least on', () => {
  expect([0, 1, 2, 3, 5, 64, 65].map(n => bucket(n))).toEqual([1, 1, 2, 4, 8, 64, 128])
  expect([1, 16, 17].map(n => bucket(n, 16))).toEqual([16, 16, 32])
})

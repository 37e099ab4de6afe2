import { expect, it } from 'vitest'
import { Lru, memoized } from './lru.js'

it('drops the entry that was used longest ago, and says so', () => {
  const dropped: number[] = []
  const lru = new Lru<string, number>(2, n => dropped.push(n))
  lru.set('a', 1)
  lru.set('b', 2)
  expect(lru.get('a')).toBe(1)
  expect(lru.peek('b')).toBe(2)
  lru.set('c', 3)
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3])
  lru.set('a', 4)
  expect(dropped).toEqual([2])
  lru.delete('a')
  expect(lru.size).toBe(1)
})

it('makes a value once for each of the last keys', () => {
  const made: number[] = []
  const twice = memoized(2, (n: number) => {
    made.push(n)
    return 2 * n
  })
  expect([1, 2, 1, 3, 1, 2].map(twice)).toEqual([2, 4, 2, 6, 2, 4])
  expect(made).toEqual([1, 2, 3, 2])
})

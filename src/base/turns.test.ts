import { expect, it } from 'vitest'
import { Turns } from './turns.js'

it('runs at most as many calls at once as it was told, and all of them in order', async () => {
  const turns = new Turns(3)
  const begun: number[] = []
  let [running, most] = [0, 0]
  const call = async (i: number): Promise<number> => {
    begun.push(i)
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    running--
    if (i === 4) throw new Error('call 4')
    return i
  }
  const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => turns.run(() => call(i))))
  expect(most).toBe(3)
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(results.map(r => (r.status === 'fulfilled' ? r.value : 'failed'))).toEqual([
    0,
    1,
    2,
    3,
    'failed',
    5,
    6,
    7,
    8,
    9,
  ])
})

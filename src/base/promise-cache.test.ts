import { expect, it } from 'vitest'
import { Lru } from './lru.js'
import { cachedPromise, lastPromise, lazyPromise } from './promise-cache.js'

/** Fails the first `failures` times, then resolves to the number of the call. */
function failing(failures: number): () => Promise<number> {
  let calls = 0
  return async () => {
    if (++calls <= failures) throw new Error(`failure ${calls}`)
    return calls
  }
}

it.each([
  ['Map', (): Map<string, Promise<number>> => new Map()],
  ['Lru', (): Lru<string, Promise<number>> => new Lru(2)],
])('a %s keeps promises that resolve, and no failures', async (_, make) => {
  const cache = make()
  const next = failing(1)
  const ask = (): Promise<number> => cachedPromise(cache, 'a', next)
  const [first, second] = [ask(), ask()]
  expect(second).toBe(first)
  await expect(first).rejects.toThrow('failure 1')
  expect(await ask()).toBe(2)
  expect(await ask()).toBe(2)
})

it('a failure does not remove the promise that has replaced it', async () => {
  const cache = new Map<string, Promise<number>>()
  const failed = cachedPromise(cache, 'a', failing(1))
  const replacement = Promise.resolve(7)
  cache.set('a', replacement)
  await expect(failed).rejects.toThrow('failure 1')
  expect(cache.get('a')).toBe(replacement)
})

it('a lazy promise is made at first use, and made again after a failure', async () => {
  const get = lazyPromise(failing(2))
  await expect(get()).rejects.toThrow('failure 1')
  await expect(get()).rejects.toThrow('failure 2')
  expect(await get()).toBe(3)
  expect(await get()).toBe(3)
})

it('a cache of one entry keeps the last key', async () => {
  const asked: string[] = []
  const last = lastPromise(async (key: string) => asked.push(key))
  for (const key of ['a', 'a', 'b', 'b', 'a']) await last.get(key)
  expect(asked).toEqual(['a', 'b', 'a'])
  last.clear()
  await last.get('a')
  expect(asked).toEqual(['a', 'b', 'a', 'a'])
})

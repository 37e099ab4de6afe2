import { expect, it } from 'vitest'
import { CompileClock } from './compile-clock.js'

it('counts the time in which something compiles once, and tells when that begins and ends', async () => {
  let now = 0
  const clock = new CompileClock(() => now)
  const changes: boolean[] = []
  const stop = clock.onChange(() => changes.push(clock.isRunning))
  let resolve!: (text: string) => void
  let reject!: (error: Error) => void
  const counted = clock.count(new Promise<string>(done => (resolve = done)))
  now = 2
  const failing = clock.count(new Promise<string>((_, fail) => (reject = fail)))
  expect([clock.isRunning, clock.seconds]).toEqual([true, 2])
  now = 3
  resolve('compiled')
  expect(await counted).toBe('compiled')
  now = 5
  reject(new Error('refused'))
  await expect(failing).rejects.toThrow('refused')
  now = 100
  expect([clock.isRunning, clock.seconds]).toEqual([false, 5])
  stop()
  await clock.count(Promise.resolve())
  expect(changes).toEqual([true, false])
})

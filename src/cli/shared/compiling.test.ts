import { afterEach, expect, it, vi } from 'vitest'
import { CompileClock } from '../../engine/compile/compile-clock.js'
import { secondsCompiling, showCompilingBy, watchCompiling } from './compiling.js'

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

it('a compilation is shown after a moment: by the last display, or else once as a line', async () => {
  vi.useFakeTimers()
  const shown: string[] = []
  vi.spyOn(console, 'error').mockImplementation((line: string) => void shown.push(line.split(',')[0]))
  const clock = new CompileClock(() => performance.now() / 1000)
  watchCompiling(clock)
  const compile = async (seconds: number, meanwhile: () => void = () => undefined): Promise<void> => {
    let end!: () => void
    const counted = clock.count(new Promise<void>(resolve => (end = resolve)))
    vi.advanceTimersByTime(500 * seconds)
    meanwhile()
    vi.advanceTimersByTime(500 * seconds)
    end()
    await counted
  }
  await compile(1)
  await compile(1)
  expect(shown).toEqual([])
  await compile(2)
  await compile(20)
  expect(shown).toEqual(['compiling with XLA'])
  expect(secondsCompiling()).toBe(24)
  // A display that appears while something compiles shows it at once.
  const stops: (() => void)[] = []
  await compile(4, () => stops.push(showCompilingBy(() => shown.push('first'))))
  await compile(4)
  stops.push(showCompilingBy(() => shown.push('second')))
  await compile(4)
  for (const stop of stops) stop()
  await compile(4)
  expect(shown).toEqual(['compiling with XLA', 'first', 'first', 'second'])
})

import { afterEach, expect, it, vi } from 'vitest'
import { CompileClock } from '../../engine/compile/compile-clock.js'
import type { Progress } from '../../train/reporter.js'
import { watchCompiling } from './compiling.js'
import { PagingLine } from './paging-report.js'
import { showProgress, watchPredictions } from './progress.js'

afterEach(() => vi.restoreAllMocks())

it('a line has no speed before it is measured, and the share dropped since the last line', () => {
  const lines: string[] = []
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line))
  const now = vi.spyOn(performance, 'now').mockReturnValue(0)
  const { show } = showProgress(100, 'pairs')
  const pace = { examplesPerSecond: 10, tokensPerSecond: 40, secondsLeft: 7 }
  const step = (seconds: number, progress: Pick<Progress, 'step' | 'shareDropped' | 'pace'>): void => {
    now.mockReturnValue(1000 * seconds)
    show({ steps: 100, loss: 1, record: { step: 1, shareDropped: 0.9 }, validation: undefined, ...progress })
  }
  step(0, { step: 1, shareDropped: 0.5, pace: undefined })
  step(1, { step: 2, shareDropped: 0.1, pace })
  step(6, { step: 3, shareDropped: 0.3, pace })
  expect(lines).toEqual([
    'step 1/100  loss 1.000  50.0% dropped',
    'step 3/100  loss 1.000  10 pairs/s  40 tokens/s  20.0% dropped  7s left',
  ])
})

it('a line on a terminal says which experts a long answer waits for, until something else is printed', () => {
  const written: string[] = []
  const now = vi.spyOn(performance, 'now').mockReturnValue(0)
  const terminal = { isTTY: true, write: (text: string) => written.push(text) > 0 }
  const line = new PagingLine(terminal)
  const at = (milliseconds: number, layer: number): void => {
    now.mockReturnValue(milliseconds)
    line.show({ stack: 'encoder', layer, layers: 15, experts: 212, given: 1, bytes: 3.1 * 2 ** 30 })
  }
  at(0, 1)
  at(1500, 6)
  at(1510, 7)
  line.erase()
  at(1600, 8)
  expect(written).toEqual(['\r\x1b[Kencoder layer 6 of 15, 212 experts, 3.10 GiB read', '\r\x1b[K'])
  line.pause()
  at(9000, 9)
  at(19_000, 10)
  expect(written).toHaveLength(2)
  const pipe = new PagingLine({ isTTY: false, write: terminal.write })
  now.mockReturnValue(0)
  for (const milliseconds of [0, 2000]) {
    now.mockReturnValue(milliseconds)
    pipe.show({ stack: 'decoder', layer: 1, layers: 1, experts: 1, given: 1, bytes: 0 })
  }
  expect(written).toHaveLength(2)
})

it('a line on answers says how many there are, and the time left at the speed so far', async () => {
  const lines: string[] = []
  vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line))
  const now = vi.spyOn(performance, 'now').mockReturnValue(0)
  await watchPredictions('words', show => {
    for (const [seconds, done] of [
      [0, 0],
      [4, 500],
      [6, 600],
      [8, 1000],
      [20, 2000],
    ]) {
      now.mockReturnValue(1000 * seconds)
      show(done, 2000)
    }
    return Promise.resolve()
  })
  expect(lines).toEqual(['600 of 2,000 words answered  14s left', '2,000 of 2,000 words answered  0s left'])
})

/** The lines of progress, a time that the test sets, and what counts compilation. */
function watchedClock() {
  const lines: string[] = []
  vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line))
  const now = vi.spyOn(performance, 'now').mockReturnValue(0)
  const clock = new CompileClock(() => performance.now() / 1000)
  watchCompiling(clock)
  return { lines, now, clock }
}

it('the time left leaves compilation out', async () => {
  const { lines, now, clock } = watchedClock()
  await watchPredictions('words', async show => {
    show(0, 10)
    now.mockReturnValue(1000)
    const compiled = clock.count(Promise.resolve())
    now.mockReturnValue(61_000)
    await compiled
    show(1, 10)
  })
  expect(lines).toEqual(['1 of 10 words answered  9s left'])
})

it('no time left is told in the first second of answering', async () => {
  const { lines, now, clock } = watchedClock()
  await watchPredictions('words', async show => {
    show(0, 2000)
    const compiled = clock.count(Promise.resolve())
    now.mockReturnValue(60_000)
    await compiled
    now.mockReturnValue(60_400)
    show(1, 2000)
    now.mockReturnValue(70_000)
    show(200, 2000)
  })
  expect(lines).toEqual(['1 of 2,000 words answered', '200 of 2,000 words answered  1m30s left'])
})

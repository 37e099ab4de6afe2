import { afterEach, expect, it, vi } from 'vitest'
import type { Progress } from '../../train/reporter.js'
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

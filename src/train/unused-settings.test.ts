import { expect, it } from 'vitest'
import { config } from '../../test/train/small-run.js'
import type { TrainConfig } from './config.js'
import { unusedSettings } from './unused-settings.js'

const warnings = (train: Partial<TrainConfig>, canValidate = true): string[] =>
  unusedSettings({ config: { ...config, train: { ...config.train, ...train } }, canValidate })

it('says which settings of validation have no effect, and what to do', () => {
  expect(warnings({})).toEqual([])
  expect(warnings({ validateEvery: 10, patience: 3, bestBy: 'metric' })).toEqual([])
  expect(warnings({ patience: 3 })).toEqual([expect.stringContaining('set train.validateEvery')])
  expect(warnings({ validateEvery: 10 }, false)).toEqual([expect.stringContaining('no validation examples')])
  expect(warnings({ validateEvery: 10, bestBy: 'metric', validateAnswers: 0 })).toEqual([
    expect.stringContaining('chosen by the loss'),
  ])
})

it('warns of a warm-up that lasts as long as the run', () => {
  const warmup = (kind: 'constant' | 'linear', warmupSteps: number): string[] =>
    warnings({ steps: 30, schedule: { kind, peak: 1e-3, warmupSteps } })
  expect(warmup('constant', 29)).toEqual([])
  expect(warmup('constant', 30)).toEqual([
    "all 30 steps are warm-up (train.schedule.warmupSteps=30), so the learning rate never reaches the schedule's own: set train.schedule.warmupSteps=3",
  ])
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { config, task } from '../../../test/train/small-run.js'
import { UserValues } from '../../config/user-values.js'
import { Trainer } from '../../train/trainer.js'
import { prove } from './proving.js'

const onStep = vi.fn()
const tasks = [{ name: 'hex', load: () => Promise.resolve(task) }]
vi.mock('../shared/user-config.js', () => ({
  loadUserValues: () => Promise.resolve(new UserValues({ tasks, hooks: { onStep } })),
}))

const shown = vi.hoisted(() => vi.fn())
vi.mock('../shared/progress.js', async original => {
  const progress = await original<typeof import('../shared/progress.js')>()
  return { ...progress, showProgress: shown.mockImplementation(progress.showProgress) }
})

it('resume --prove finds the values of switchyard.config.ts that a run needs, and calls no hooks', async () => {
  const run = await mkdtemp(join(tmpdir(), 'switchyard-prove-'))
  const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  try {
    await (await Trainer.begin(config, { task })).run(run)
    await prove(run)
    expect(printed.mock.lastCall![0]).toMatch(/^equal bit for bit: a run that resumes from step 4/)
    // The examples are called what training calls them.
    expect(shown.mock.calls).toEqual([[config.train.steps, task.units.many]])
    expect(onStep).not.toHaveBeenCalled()
  } finally {
    vi.restoreAllMocks()
    await rm(run, { recursive: true })
  }
})

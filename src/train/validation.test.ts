import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../base/pytree.js'
import { safetensors } from '../checkpoint/safetensors.js'
import type { Tensor } from '../engine/api/tensor.js'
import { configWith, task } from '../../test/train/small-run.js'
import { openCheckpoint } from './checkpointing.js'
import type { RunConfig } from './config.js'
import { evaluate } from './evaluate.js'
import { Trainer } from './trainer.js'
import type { RunEnd } from './trainer.js'
import type { Validation } from './validation.js'
import type { TrainerValues } from './values.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

const paramsOf = async (params: object): Promise<number[]> =>
  (await Promise.all(leavesWithPaths<Tensor>(params as never).map(([, x]) => x.numbers()))).flat()

/** A rate that is 0 from step 4 on, and that destroys what was learned in step 5. */
const spoiling = (step: number): number => (step < 4 ? 0.01 : step === 4 ? 3 : 1e-8)

interface Made {
  trainer: Trainer
  ended: RunEnd
  validations: Validation[]
}

async function run(given: RunConfig, values: TrainerValues = {}, name = 'run'): Promise<Made> {
  return finish(await Trainer.begin(given, { task, ...recording(), ...values }), name)
}

let heard: Validation[] = []
const recording = (): TrainerValues => {
  heard = []
  return { onValidation: validation => void heard.push(validation) }
}

async function finish(trainer: Trainer, name: string): Promise<Made> {
  const ended = await trainer.run(join(folder, name))
  return { trainer, ended, validations: heard }
}

const records = async (name = 'run'): Promise<Record<string, number>[]> =>
  (await readFile(join(folder, name, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, number>)

describe('validation', () => {
  it('records the loss and the first figure of the task, at its interval and at the end', async () => {
    const { trainer, validations } = await run(configWith({ validateEvery: 3, validateAnswers: 10 }))
    expect(validations.map(v => v.step)).toEqual([3, 6, 8])
    const last = validations[2]
    const recorded = (await records()).filter(record => 'validation/loss' in record)
    expect(recorded.map(r => r.step)).toEqual([3, 6, 8])
    expect(recorded[2]).toEqual({
      step: 8,
      'validation/loss': last.loss,
      'validation/accuracy': last.accuracy,
      [`validation/${last.metric!.name}`]: last.metric!.value,
    })
    const { scores } = await evaluate(trainer.params, trainer.config, task, {
      split: 'validation',
      limit: 10,
      metrics: [task.metrics[0]],
    })
    expect(Object.entries(scores[0].figures)[0]).toEqual([last.metric!.name, last.metric!.value])
  })

  it('has the same loss whatever the batches, without label smoothing and noise', async () => {
    const loss = async (train: Partial<RunConfig['train']>, name: string): Promise<number> =>
      (await run(configWith({ steps: 1, validateEvery: 1, validateAnswers: 0, ...train }), { schedule: () => 0 }, name))
        .validations[0].loss
    const expected = await loss({}, 'a')
    expect(await loss({ rows: 4 }, 'b')).toBeCloseTo(expected, 5)
    expect(await loss({ accumulate: 2, labelSmoothing: 0.2, zLoss: 1 }, 'c')).toBeCloseTo(expected, 5)
  })

  it('keeps the best checkpoint, which is used from then on', async () => {
    const given = configWith({ validateEvery: 2, validateAnswers: 0, keep: 1, logEvery: 1 })
    const { trainer, validations } = await run(given, { schedule: spoiling })
    const best = validations.reduce((a, b) => (b.loss < a.loss ? b : a))
    expect(best.step).toBeLessThan(8)
    expect(trainer.best).toEqual({ step: best.step, figure: 'loss', value: best.loss })
    expect((await readdir(join(folder, 'run'))).filter(n => n.startsWith('step')).sort()).toEqual([
      `step-${best.step}`,
      'step-8',
    ])
    const opened = await openCheckpoint(join(folder, 'run'), { choice: 'best' })
    await opened.close()
    expect(opened.step).toBe(best.step)
    const latest = await openCheckpoint(join(folder, 'run'))
    await latest.close()
    expect(latest.step).toBe(8)
    expect(await paramsOf(await trainer.bestParams(join(folder, 'run')))).not.toEqual(await paramsOf(trainer.params))
  })

  it.each([
    ['adapters, which are merged', { lora: { rank: 2, alpha: 4, targets: ['query'] } }],
    ['frozen parameters', { freeze: ['decoder/**'] }],
    ['an average', { averageDecay: 0.5 }],
  ] as [string, Partial<RunConfig['train']>][])('reads the best parameters of a run with %s', async (_, train) => {
    const given = configWith({ validateEvery: 2, validateAnswers: 0, keep: 1, ...train })
    const validated = new Map<number, number[]>()
    const trainer: Trainer = await Trainer.begin(given, {
      task,
      schedule: spoiling,
      onValidation: async ({ step }) => void validated.set(step, await paramsOf(trainer.params)),
    })
    await trainer.run(join(folder, 'run'))
    expect(trainer.best!.step).toBeLessThan(8)
    expect(await paramsOf(await trainer.bestParams(join(folder, 'run')))).toEqual(validated.get(trainer.best!.step))
  })

  it('stops when it gets no better, also after a resume', async () => {
    const given = configWith({ validateEvery: 1, validateAnswers: 0, patience: 2, checkpointEvery: 1, steps: 30 })
    const whole = await run(given, { schedule: spoiling }, 'whole')
    expect(whole.ended).toBe('stopped')
    expect(whole.trainer.step).toBe(whole.trainer.best!.step + 2)

    const abort = new AbortController()
    const stopped = await Trainer.begin(given, {
      task,
      schedule: spoiling,
      onValidation: ({ step }) => step === whole.trainer.step - 1 && abort.abort(),
    } as TrainerValues)
    await stopped.run(join(folder, 'stopped'), { signal: abort.signal })
    expect(stopped.step).toBe(whole.trainer.step - 1)
    const checkpoint = await openCheckpoint(join(folder, 'stopped'))
    const resumed = await Trainer.resume(given, checkpoint, { task, schedule: spoiling }).finally(checkpoint.close)
    expect(await resumed.run(join(folder, 'stopped'))).toBe('stopped')
    expect([resumed.step, resumed.best]).toEqual([whole.trainer.step, whole.trainer.best])
    expect(await paramsOf(resumed.params)).toEqual(await paramsOf(whole.trainer.params))
  })
})

describe('a loss that is not finite', () => {
  it('ends the run with the batch saved and the equation named', async () => {
    const exploding = (step: number): number => (step === 5 ? 1e30 : 0.01)
    const given = configWith({ rows: 2, logEvery: 1 })
    const trainer = await Trainer.begin(given, { task, schedule: exploding })
    await expect(trainer.run(join(folder, 'run'))).rejects.toThrow(
      /at step 7: NaN came from \w+.*The step's batch is in .*diverged-step-7.safetensors; the last checkpoint, of step 4/,
    )
    const batch = await safetensors.open(join(folder, 'run', 'diverged-step-7.safetensors'))
    try {
      expect(batch.list().map(({ name }) => name)).toContain('decoder_target_tokens')
    } finally {
      await batch.close()
    }
    const checkpoint = await openCheckpoint(join(folder, 'run'))
    const again = await Trainer.resume(given, checkpoint, { task, schedule: exploding }).finally(checkpoint.close)
    expect(await again.findNaN(7)).toMatch(/^NaN came from/)
  })
})

describe('hooks', () => {
  it('are called after steps, validations and checkpoints', async () => {
    const calls: string[] = []
    await run(configWith({ validateEvery: 4, validateAnswers: 0, asyncSave: false }), {
      onStep: ({ step }) => void calls.push(`step ${step}`),
      onValidation: ({ step }) => void calls.push(`validation ${step}`),
      onCheckpoint: ({ step, folder: saved }) =>
        void calls.push(`checkpoint ${step} ${saved.endsWith(`step-${step}`)}`),
    })
    expect(calls.slice(3, 7)).toEqual(['step 4', 'validation 4', 'checkpoint 4 true', 'step 5'])
    expect(calls.slice(-2)).toEqual(['validation 8', 'checkpoint 8 true'])
  })
})

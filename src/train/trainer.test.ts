import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../base/pytree.js'
import { TrainIterator } from '../data/iterator.js'
import { taskStream } from '../data/streams/task-stream.js'
import type { Task } from '../data/task.js'
import type * as api from '../engine/api/tensor.js'
import { openCheckpoint } from './checkpointing.js'
import type { RunConfig } from './config.js'
import { evaluate } from './evaluate.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { parseRunConfig } from '../config/validate.js'
import { treeMap } from '../base/pytree.js'
import type { Router } from '../nn/moe/router.js'
import type { AcceptedAnswers, Metric } from '../metrics/metric.js'
import * as np from '../engine/api/np.js'
import { config, task } from '../../test/train/small-run.js'
import type { MetricsRecord } from './metrics-log.js'
import { Trainer } from './trainer.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function valuesOf(trainer: Trainer): Promise<Record<string, number[]>> {
  return Object.fromEntries(
    await Promise.all(
      leavesWithPaths<api.Tensor>(trainer.params).map(async ([path, array]) => [path, await array.numbers()] as const),
    ),
  )
}

async function resume(from: string, changed: Partial<RunConfig> = {}): Promise<Trainer> {
  const checkpoint = await openCheckpoint(from)
  try {
    return await Trainer.resume({ ...config, ...changed }, checkpoint, { task })
  } finally {
    await checkpoint.close()
  }
}

describe('Trainer', () => {
  it('gives the same parameters in every run, and after resuming from any checkpoint, dropout included', async () => {
    const steps: number[] = []
    const whole = await Trainer.begin(config, { task })
    expect(
      await whole.run(folder, {
        onProgress: ({ step }) => {
          steps.push(step)
        },
      }),
    ).toBe('finished')
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    const expected = await valuesOf(whole)
    expect(Object.values(expected).flat().every(Number.isFinite)).toBe(true)

    const resumed = await resume(join(folder, 'step-4'))
    await resumed.run(join(folder))
    expect(await valuesOf(resumed)).toEqual(expected)
    // Each of the two trainings has a file of events for TensorBoard.
    const events = (await readdir(folder)).filter(name => name.startsWith('events.out.tfevents.'))
    expect(events).toHaveLength(2)

    const other = await Trainer.begin({ ...config, train: { ...config.train, seed: 4 } }, { task })
    expect(await valuesOf(other)).not.toEqual(expected)
  })

  it('records the share of tokens that are not padding, which packing raises', async () => {
    const shareOf = async (packing: boolean): Promise<number> => {
      const trainer = await Trainer.begin({ ...config, train: { ...config.train, steps: 2, packing } }, { task })
      let share = 0
      const onProgress = ({ record }: { record?: MetricsRecord }) => void (share = Number(record?.packingEfficiency))
      await trainer.run(join(folder, String(packing)), { onProgress })
      return share
    }
    const { rows, inputLength, targetLength, seed } = config.train
    const size = { rows, inputLength, targetLength, seed, packing: false }
    const batches = new TrainIterator(taskStream(task, size), size)
    batches.next()
    const expected = batches.next().tokens / (rows * (inputLength + targetLength))
    expect(await shareOf(false)).toBe(expected)
    expect(await shareOf(true)).toBeGreaterThan(expected)
  })

  it('refuses a model of any size with numbers before anything is drawn', async () => {
    // More elements in one kernel than can be drawn.
    const huge = { ...config, model: { ...config.model, dModel: 2 ** 16, dFf: 2 ** 20 } }
    await expect(Trainer.begin(huge, { task })).rejects.toThrow('takes about')
  })

  it('stops when the signal is aborted, and resumes exactly from that step', async () => {
    const abort = new AbortController()
    const stopped = await Trainer.begin(config, { task })
    expect(
      await stopped.run(folder, {
        signal: abort.signal,
        onProgress: ({ step }) => {
          if (step === 2) abort.abort()
        },
      }),
    ).toBe('interrupted')
    expect((await readdir(folder)).filter(name => name.startsWith('step'))).toEqual([`step-${stopped.step}`])
    const resumed = await resume(folder)
    expect(resumed.step).toBe(stopped.step)
    await resumed.run(folder)

    const whole = await Trainer.begin(config, { task })
    const elsewhere = join(folder, 'whole')
    await whole.run(elsewhere)
    expect(await valuesOf(resumed)).toEqual(await valuesOf(whole))
  })

  it('removes the later checkpoints after resuming from an earlier one', async () => {
    await (await Trainer.begin(config, { task })).run(folder)
    const changed = { train: { ...config.train, checkpointEvery: 3, steps: 7 } }
    const stepsAfterSaving: string[][] = []
    const resumed = await resume(join(folder, 'step-4'), changed)
    await resumed.run(folder, {
      onProgress: ({ step }) => {
        if (step === 7) stepsAfterSaving.push(readdirSync(folder).filter(name => name.startsWith('step')))
      },
    })
    expect(stepsAfterSaving).toEqual([['step-4', 'step-6']])
    expect((await readdir(folder)).filter(name => name.startsWith('step'))).toEqual(['step-4', 'step-6', 'step-7'])
  })

  it('names the last good checkpoint when saving fails', async () => {
    await writeFile(join(folder, 'step-8'), '')
    await expect((await Trainer.begin(config, { task })).run(folder)).rejects.toThrow(
      /step-8: .*; the last checkpoint, of step 4 in /,
    )
  })

  it.skipIf(!existsSync('/dev/full'))('names it when the disk is full while figures are written', async () => {
    const metrics = join(folder, 'metrics.jsonl')
    const onCheckpoint = async (): Promise<void> => {
      await rm(metrics)
      await symlink('/dev/full', metrics)
    }
    const noted = { ...config, train: { ...config.train, logEvery: 1, asyncSave: false } }
    await expect((await Trainer.begin(noted, { task, onCheckpoint })).run(folder)).rejects.toThrow(
      `${metrics}: the disk is full: free some space and try again; the last checkpoint, of step 4 in ${folder}, is not affected`,
    )
  })

  it('refuses a model that does not fit the task, the checkpoint or the data', async () => {
    await expect(Trainer.begin({ ...config, model: { ...config.model, vocabSize: 5 } }, { task })).rejects.toThrow(
      'model.vocabSize is 5, and the task hex has',
    )
    await (await Trainer.begin({ ...config, train: { ...config.train, steps: 1 } }, { task })).run(folder)
    await expect(resume(folder, { model: { ...config.model, dFf: 32 } })).rejects.toThrow(
      'and the configuration beside it asks for float32[2,8,32]',
    )
    await expect(resume(folder, { train: { ...config.train, seed: 4 } })).rejects.toThrow('began with the data seed 3')
  })
})

describe('values that a program supplies', () => {
  /** Sign descent with momentum: p <- p - rate sign(m), m <- 0.9 m + g. */
  const signMomentum: Optimizer = {
    name: 'signMomentum',
    init: params => treeMap((p: api.Tensor) => np.zeros(p.shape), params),
    update(gradients, state, params, { learningRate }) {
      const newState = treeMap((m: api.Tensor, g: api.Tensor) => np.add(np.multiply(m, 0.9), g), state, gradients)
      const step = (p: api.Tensor, m: api.Tensor) => np.subtract(p, np.multiply(learningRate, np.sign(m)))
      return { params: treeMap(step, params, newState) as typeof params, state: newState as typeof state }
    },
  }
  /** Sign descent: an optimizer without any state. */
  const signDescent: Optimizer = {
    name: 'signDescent',
    init: () => ({}),
    update(gradients, state, params, { learningRate }) {
      const step = (p: api.Tensor, g: api.Tensor) => np.subtract(p, np.multiply(learningRate, np.sign(g)))
      return { params: treeMap(step, params, gradients) as typeof params, state }
    },
  }
  const everyThird = (step: number): number => (step % 3 === 2 ? 0.01 : 0)
  const firstSymbol: Metric<AcceptedAnswers, string> = {
    name: 'first symbol right',
    input: 'predictions',
    better: 'higher',
    compute: (answers, predictions) => ({ first: predictions.filter((p, i) => p[0] === answers[i].target[0]).length }),
    format: (value, figure) => `${figure} ${value} times`,
  }
  const hex: Task = { ...task, units: { one: 'number', many: 'numbers' }, metrics: [firstSymbol] }
  const values = { task: hex, optimizer: signMomentum, schedule: everyThird }
  const resumeWith = async (given: object): Promise<Trainer> => {
    const checkpoint = await openCheckpoint(join(folder, 'step-4'))
    try {
      return await Trainer.resume(config, checkpoint, given)
    } finally {
      await checkpoint.close()
    }
  }

  it('replace those that the configuration names, and are recorded by name', async () => {
    const trainer = await Trainer.begin(config, values)
    const before = await valuesOf(trainer)
    const rates: unknown[] = []
    await trainer.run(folder, { onProgress: ({ record }) => rates.push(record?.learningRate) })
    // A record every second step: steps 2, 4, 6, 8 have the schedule's rates of 1, 3, 5, 7.
    expect(rates).toEqual([undefined, 0, 0, 0, 0, 0.01, 0.01, 0])
    // Two updates, each of which moves an element by the rate or not at all.
    const moved = Object.entries(await valuesOf(trainer)).flatMap(([path, after]) =>
      after.map((x, i) => Math.round(Math.abs(x - before[path][i]) * 1000) / 1000),
    )
    expect([...new Set(moved)].sort()).toEqual([0, 0.01, 0.02])

    const { scores } = await evaluate(trainer.params, config, hex, { split: 'test', limit: 5 })
    expect(scores.map(({ metric, figures }) => [metric.name, metric.format(figures.first, 'first')])).toEqual([
      ['first symbol right', expect.stringMatching(/^first [0-5] times$/)],
    ])

    const checkpoint = await openCheckpoint(folder)
    await checkpoint.close()
    const saved = parseRunConfig(checkpoint.config)
    expect([saved.task, saved.train.optimizer, saved.train.schedule]).toEqual([
      { kind: 'custom', name: 'hex' },
      { kind: 'custom', name: 'signMomentum' },
      { kind: 'custom', name: 'everyThird' },
    ])
  })

  it('resume exactly when they are supplied again, and say which one is missing', async () => {
    const whole = await Trainer.begin(config, values)
    await whole.run(folder)
    const resumed = await resumeWith(values)
    await resumed.run(folder)
    expect(await valuesOf(resumed)).toEqual(await valuesOf(whole))
    for (const missing of ['task', 'optimizer', 'schedule'] as const) {
      const { [missing]: left, ...rest } = values
      await expect(resumeWith(rest)).rejects.toThrow(
        `the ${missing} "${left.name}" is not built in: the program that began this run supplied it. Supply it again`,
      )
    }
  })

  it('may be a router, with which the model is trained and evaluated', async () => {
    /** Sends every token to expert 0. */
    const first: Router = {
      name: 'first',
      assign: ({ probabilities }, mask) => {
        const [groups, tokens, experts] = probabilities.shape
        const zeros = np.zeros([groups, tokens, 1], 'int32') // [groups, tokens, choices]
        const kept = mask ? np.expandDims(mask, 2) : np.ones([groups, tokens, 1], 'bool') // [groups, tokens, choices]
        const position = np.subtract(np.cumsum(np.astype(kept, 'int32'), 1), 1) // [groups, tokens, choices]
        return {
          expert: zeros,
          position: np.where(kept, position, -1),
          kept: np.logicalAnd(kept, np.less(position, 2)),
          gate: np.astype(kept, 'float32'),
          choice: np.where(kept, np.oneHot(np.zeros([groups, tokens], 'int32'), experts), 0),
        }
      },
    }
    const trainer = await Trainer.begin(config, { task: hex, router: first })
    const before = await valuesOf(trainer)
    await trainer.run(folder)
    const path = Object.keys(before).find(name => name.startsWith('encoder') && name.includes('/expert'))!
    const [after, half] = [(await valuesOf(trainer))[path], before[path].length / 2]
    expect(after.slice(half)).toEqual(before[path].slice(half))
    expect(after.slice(0, half)).not.toEqual(before[path].slice(0, half))
    expect(trainer.config.router).toMatchObject({ kind: 'tokensChoose', custom: 'first' })

    await expect(resumeWith({ task: hex })).rejects.toThrow('the router "first" is not built in')
    const options = { split: 'test', limit: 2 } as const
    await expect(evaluate(trainer.params, trainer.config, hex, options)).rejects.toThrow('the router "first"')
    await evaluate(trainer.params, trainer.config, hex, { ...options, router: first })
  })

  it('may be an optimizer that has no state', async () => {
    const whole = await Trainer.begin(config, { ...values, optimizer: signDescent })
    await whole.run(folder)
    const resumed = await resumeWith({ ...values, optimizer: signDescent })
    await resumed.run(folder)
    expect(await valuesOf(resumed)).toEqual(await valuesOf(whole))
  })
})

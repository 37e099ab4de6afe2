import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import { forward } from '../../model/forward.js'
import { initParameters } from '../../model/init.js'
import { lossFunction } from '../../model/loss.js'
import { declareParameters } from '../../model/parameters.js'
import type { Batch } from '../../model/types.js'
import { denseTwin } from '../../model/surgery/dense-twin.js'
import { readFrozen, teacherOf } from '../../open/frozen-model.js'
import { openWeights } from '../../open/open-weights.js'
import { config as sparse, parameterValues, task } from '../../../test/train/small-run.js'
import { openCheckpoint } from '../checkpointing.js'
import type { RunConfig } from '../config.js'
import { trainingBytes } from '../footprint.js'
import type { MetricsRecord } from '../metrics-log.js'
import { Trainer } from '../trainer.js'
import { distillDefaults } from './config.js'
import type { Teacher } from './teacher.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-distill-'))
})
afterEach(() => rm(folder, { recursive: true }))

const teacherParams = initParameters(declareParameters(sparse.model, sparse.router), random.key(9))
/** A sparse model, whose configuration has dropout and jitter. */
const teacher: Teacher = {
  name: 'random',
  logits: batch => forward(teacherParams, batch, { config: sparse.model, router: sparse.router, mode: 'eval' }).logits,
}

/** The dense twin of the teacher. */
const student = (train: Partial<RunConfig['train']> = {}): RunConfig => ({
  ...sparse,
  model: denseTwin(sparse.model),
  train: { ...sparse.train, logEvery: 1, ...train },
})
const withoutDropout = (config: RunConfig): RunConfig => ({ ...config, model: { ...config.model, dropoutRate: 0 } })

async function run(trainer: Trainer, name: string): Promise<{ values: number[]; records: MetricsRecord[] }> {
  const records: MetricsRecord[] = []
  await trainer.run(join(folder, name), {
    onProgress: ({ record }) => {
      if (record) records.push(record)
    },
  })
  return { values: await parameterValues(trainer), records }
}

describe('the loss of a student', () => {
  const rows = 2
  const length = 3
  const tokens = np.array(
    [
      [3, 4, 5],
      [4, 3, 1],
    ],
    'int32',
  )
  const weights = [1, 1, 0, 1, 1, 1]
  const batch: Batch = {
    encoder_input_tokens: tokens,
    decoder_input_tokens: tokens,
    decoder_target_tokens: tokens,
    decoder_loss_weights: np.reshape(np.array(weights), [rows, length]),
  }

  it('is 0.75 of the cross entropy of the targets and 0.25 of the divergence from the teacher, over the targets', async () => {
    const { model: config, router } = withoutDropout(student())
    const params = initParameters(declareParameters(config, router), random.key(1))
    const options = { config, router, mode: 'eval', zLossFactor: 0 } as const
    const teacherLogits = teacher.logits(batch)
    const distillation = { ...distillDefaults, temperature: 2, teacherLogits }
    const [loss, metrics] = lossFunction(params, batch, { ...options, distillation })
    const [, { crossEntropy }] = lossFunction(params, batch, options)
    const logProbabilities = async (logits: Tensor): Promise<number[][]> => {
      const all = await logits.numbers()
      return weights.map((_, i) => {
        const row = all.slice(i * config.vocabSize, (i + 1) * config.vocabSize).map(x => x / 2)
        const logZ = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
        return row.map(x => x - logZ)
      })
    }
    const [q, p] = [
      await logProbabilities(forward(params, batch, options).logits),
      await logProbabilities(teacherLogits),
    ]
    const divergences = p.map((row, i) => 4 * row.reduce((sum, x, c) => sum + Math.exp(x) * (x - q[i][c]), 0))
    const soft = (0.25 * divergences.reduce((sum, d, i) => sum + d * weights[i], 0)) / 5
    expect(soft).toBeGreaterThan(0.01)
    expect(await metrics.softLoss.item()).toBeCloseTo(soft, 5)
    expect(await metrics.crossEntropy.item()).toBeCloseTo(0.75 * (await crossEntropy.item()), 5)
    expect(await loss.item()).toBeCloseTo(0.75 * (await crossEntropy.item()) + soft, 5)
  })

  it('refuses a teacher with another vocabulary', () => {
    const { model: config, router } = student()
    const params = initParameters(declareParameters(config, router), random.key(1))
    const distillation = { ...distillDefaults, teacherLogits: np.zeros([rows, length, 5]) }
    expect(() => lossFunction(params, batch, { config, router, mode: 'eval', distillation })).toThrow(
      "the teacher's logits have the shape [2,3,5]",
    )
  })
})

describe('a run with a teacher', () => {
  it('learns the probabilities of a teacher of its own, without any targets', async () => {
    const config = student({ steps: 60, schedule: { kind: 'constant', peak: 0.03, warmupSteps: 0 } })
    const distill = { teacher: { kind: 'custom', name: '' }, hardWeight: 0, softWeight: 1, temperature: 1 } as const
    const trainer = await Trainer.begin({ ...withoutDropout(config), distill }, { task, teacher })
    const { records } = await run(trainer, 'soft')
    const [first, last] = [records[0], records.at(-1)!].map(({ softLoss }) => Number(softLoss))
    expect(last).toBeLessThan(first / 4)
    expect(records.every(({ crossEntropy }) => crossEntropy === 0)).toBe(true)
    expect(trainer.config.distill).toEqual({ ...distill, teacher: { kind: 'custom', name: 'random' } })
  })

  it('that is stopped and resumed gives the same bits, with dropout and parts of batches', async () => {
    const config = student({ accumulate: 2 })
    const whole = await run(await Trainer.begin(config, { task, teacher }), 'whole')
    await run(await Trainer.begin({ ...config, train: { ...config.train, steps: 4 } }, { task, teacher }), 'stopped')
    const checkpoint = await openCheckpoint(join(folder, 'stopped'))
    const paths = checkpoint.params.list().map(({ name }) => name)
    expect(paths.filter(path => path.includes('expert'))).toEqual([])
    const given = { ...config, distill: trainerConfigOf(checkpoint.config) }
    await expect(Trainer.resume(given, checkpoint, { task })).rejects.toThrow(
      'the teacher "random" is not built in: the program that began this run supplied it',
    )
    await expect(Trainer.resume(given, checkpoint, { task, teacher: { ...teacher, name: 'other' } })).rejects.toThrow(
      'learns from the teacher "random", and the supplied one is "other"',
    )
    const resumed = await run(await Trainer.resume(given, checkpoint, { task, teacher }), 'stopped')
    await checkpoint.close()
    expect(resumed.values).toEqual(whole.values)
  })

  it('in parts of batches equals the run with whole ones', async () => {
    const config = withoutDropout(student({ rows: 4 }))
    const whole = await run(await Trainer.begin(config, { task, teacher }), 'whole')
    const inParts = { ...config, train: { ...config.train, accumulate: 4 } }
    const parts = await run(await Trainer.begin(inParts, { task, teacher }), 'parts')
    parts.records.forEach((record, i) => {
      for (const name of ['loss', 'crossEntropy', 'softLoss'])
        expect(Number(record[name]) / Number(whole.records[i][name])).toBeCloseTo(1, 4)
    })
  })

  it('of weights has no dropout in the teacher, and is resumed with the same weights only', async () => {
    const config = student({ steps: 4 })
    await run(await Trainer.begin(config, { task }), 'teacher')
    const weights = await openWeights(join(folder, 'teacher'))
    expect(weights.model.dropoutRate).toBeGreaterThan(0)
    const opened = teacherOf(await readFrozen(weights))
    // The student begins as the teacher and has no dropout: they differ only if the teacher has some.
    const trainer = await Trainer.begin(
      withoutDropout({
        ...student(),
        from: { path: 't', container: 'native', step: 4, optimizer: 'fresh', rules: [] },
      }),
      { task, teacher: opened },
      { weights },
    )
    await weights.close()
    const { records } = await run(trainer, 'student')
    expect(Math.abs(Number(records[0].softLoss))).toBeLessThan(1e-6)
    expect(Number(records[1].softLoss)).toBeGreaterThan(1e-5)

    const checkpoint = await openCheckpoint(join(folder, 'student', 'step-4'))
    const changed = { ...opened, config: { ...opened.config, fingerprint: '00000000' } }
    await expect(Trainer.resume(trainer.config, checkpoint, { task, teacher: changed })).rejects.toThrow(
      /with the fingerprint [0-9a-f]{8}, and the supplied one, .*teacher.step-4, has 00000000/,
    )
    await expect(Trainer.resume(trainer.config, checkpoint, { task, teacher })).rejects.toThrow(
      /with the fingerprint [0-9a-f]{8}, and the supplied one, random, has no fingerprint/,
    )
    await expect(Trainer.resume(trainer.config, checkpoint, { task })).rejects.toThrow('supply it, as { teacher:')
    await checkpoint.close()
  })

  it("has the teacher's arrays, and its logits, in the estimate of the memory", () => {
    const state = { params: 2 ** 20, optimizer: 2 ** 21 }
    const distill = { teacher: { kind: 'custom', name: 'random' }, ...distillDefaults } as const
    const without = trainingBytes(student(), state)
    const bytes = trainingBytes({ ...student(), distill }, { ...state, teacher: 2 ** 22 })
    const { rows, targetLength } = sparse.train
    expect(bytes - without - 2 ** 22).toBe(4 * 4 * rows * targetLength * sparse.model.vocabSize)
  })
})

const trainerConfigOf = (saved: unknown): RunConfig['distill'] => (saved as RunConfig).distill

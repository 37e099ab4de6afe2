import { readdirSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../base/pytree.js'
import type { Task } from '../data/task.js'
import { taskCodec } from '../data/task.js'
import { pairsVocabularies } from '../data/tasks.js'
import type * as api from '../engine/api/tensor.js'
import { openCheckpoint } from './checkpointing.js'
import { Trainer } from './trainer.js'
import type { TrainerConfig } from './trainer.js'

const examples = Array.from({ length: 40 }, (_, i) => ({
  input: i.toString(2),
  target: i.toString(16),
  alternatives: [],
}))
const vocabularies = pairsVocabularies(examples)
const task: Task = {
  ...taskCodec({ name: 'hex', source: { kind: 'pairs', path: '/hex.tsv' }, lowercase: false, ...vocabularies }),
  split: () => examples,
}

const config: TrainerConfig = {
  model: {
    vocabSize: task.vocabSize,
    dModel: 8,
    dFf: 16,
    numHeads: 2,
    headDim: 4,
    numEncoderLayers: 1,
    numDecoderLayers: 1,
    encoderSparseEvery: 1,
    decoderSparseEvery: 1,
    numExperts: 2,
    activation: 'relu',
    tiedLogits: true,
    scaleLogits: true,
    relativePositionBias: 'perStack',
    relativePositionBuckets: 8,
    relativePositionMaxDistance: 16,
    layerNormEpsilon: 1e-6,
    dropoutRate: 0.1,
    initScale: 1,
    dtype: 'float32',
    reference: 'switchyard',
  },
  router: {
    kind: 'tokensChoose',
    maxGroupSize: 64,
    trainCapacityFactor: 1.25,
    evalCapacityFactor: 2,
    minExpertCapacity: 4,
    expertCapacity: null,
    bias: false,
    jitterNoise: 0.01,
    expertDropoutRate: 0.1,
    auxLossFactor: 0.01,
    zLossFactor: 0,
    ignorePaddingTokens: true,
  },
  train: {
    steps: 8,
    rows: 2,
    inputLength: 16,
    targetLength: 16,
    seed: 3,
    optimizer: { kind: 'adamW', b1: 0.9, b2: 0.98, epsilon: 1e-8, weightDecay: 0 },
    schedule: { kind: 'constant', peak: 0.01, warmupSteps: 0 },
    clipNorm: 1,
    logEvery: 2,
    checkpointEvery: 4,
    keep: 9,
    evalExamples: null,
  },
}

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

async function resume(from: string, changed: Partial<TrainerConfig> = {}): Promise<Trainer> {
  const checkpoint = await openCheckpoint(from)
  try {
    return await Trainer.resume({ ...config, ...changed }, task, checkpoint)
  } finally {
    await checkpoint.close()
  }
}

describe('Trainer', () => {
  it('gives the same parameters every time, and after going on from any checkpoint, dropout included', async () => {
    const steps: number[] = []
    const whole = Trainer.begin(config, task)
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

    const other = Trainer.begin({ ...config, train: { ...config.train, seed: 4 } }, task)
    expect(await valuesOf(other)).not.toEqual(expected)
  })

  it('stops where it is asked to, and goes on from there', async () => {
    const abort = new AbortController()
    const stopped = Trainer.begin(config, task)
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

    const whole = Trainer.begin(config, task)
    const elsewhere = join(folder, 'whole')
    await whole.run(elsewhere)
    expect(await valuesOf(resumed)).toEqual(await valuesOf(whole))
  })

  it('leaves nothing of the way that it has left by going on from an earlier checkpoint', async () => {
    await Trainer.begin(config, task).run(folder)
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

  it('says what is saved when saving fails', async () => {
    await writeFile(join(folder, 'step-8'), '')
    await expect(Trainer.begin(config, task).run(folder)).rejects.toThrow(
      /step-8: .*; the last checkpoint, of step 4 in /,
    )
  })

  it('says what is wrong', async () => {
    expect(() => Trainer.begin({ ...config, model: { ...config.model, vocabSize: 5 } }, task)).toThrow(
      'model.vocabSize is 5, and the task hex has',
    )
    await Trainer.begin({ ...config, train: { ...config.train, steps: 1 } }, task).run(folder)
    await expect(resume(folder, { model: { ...config.model, dFf: 32 } })).rejects.toThrow(
      'and the configuration beside it asks for float32[2,8,32]',
    )
    await expect(resume(folder, { train: { ...config.train, seed: 4 } })).rejects.toThrow('began with the data seed 3')
  })
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readTensors } from '../checkpoint/format.js'
import { toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { parseRunConfig } from '../config/validate.js'
import { overrideConfig } from '../config/overrides.js'
import type { PackedFeatures } from '../data/converters/batch.js'
import { TrainIterator } from '../data/iterator.js'
import { jit } from '../engine/api/jit.js'
import { lossFunction } from '../model/loss.js'
import type { Batch } from '../model/types.js'
import { UNKNOWN_TEXT } from '../text/vocabulary.js'
import { config, configWith, parameterValues, task } from '../../test/train/small-run.js'
import { openCheckpoint } from './checkpointing.js'
import type { RunConfig } from './config.js'
import type { MetricsRecord } from './metrics-log.js'
import { targetFigures } from './target-figures.js'
import { Trainer } from './trainer.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A dense model without noise: its loss is a weighted mean over the targets, whatever the batch is divided into. */
const plain = (train: Partial<RunConfig['train']> = {}): RunConfig => ({
  ...configWith({ rows: 4, logEvery: 1, ...train }),
  model: { ...config.model, encoderSparseLayers: [], decoderSparseLayers: [], dropoutRate: 0 },
})

interface Trained {
  values: number[]
  records: MetricsRecord[]
  model: RunConfig['model']
}

/** Trains to the end, or until `train.steps` of a longer run, in a folder of its own. */
async function train(given: RunConfig, name = 'run'): Promise<Trained> {
  const trainer = await Trainer.begin(given, { task })
  return finish(trainer, name)
}

async function finish(trainer: Trainer, name: string): Promise<Trained> {
  const records: MetricsRecord[] = []
  await trainer.run(join(folder, name), {
    onProgress: ({ record }) => {
      if (record) records.push(record)
    },
  })
  return { values: await parameterValues(trainer), records, model: trainer.config.model }
}

/** The same run, stopped at step 4 and resumed. */
async function trainWithStop(given: RunConfig, name = 'stopped'): Promise<Trained> {
  await train({ ...given, train: { ...given.train, steps: 4 } }, name)
  const checkpoint = await openCheckpoint(join(folder, name))
  try {
    return await finish(await Trainer.resume(given, checkpoint, { task }), name)
  } finally {
    await checkpoint.close()
  }
}

const largestDifference = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0)

it.each([
  ['accumulate', { accumulate: 2 }],
  ['remat', { remat: true }],
  ['scanLayers', { scanLayers: true }],
  ['labelSmoothing', { labelSmoothing: 0.1 }],
  ['zLoss', { zLoss: 0.01 }],
  ['averageDecay', { averageDecay: 0.9 }],
  ['dropoutFrom', { dropoutFrom: 6 }],
  ['buckets', { packing: false, buckets: 3, inputLength: 32 }],
])('%s: a run that is stopped and resumed gives the same bits, noise included', async (_, settings) => {
  const given = configWith(settings)
  const whole = await train(given)
  const stopped = await trainWithStop(given)
  expect(stopped.values).toEqual(whole.values)
  expect(stopped.model).toEqual(whole.model)
})

it('a new run never answers with a token that its vocabulary shows as unknown, unless its settings say otherwise', async () => {
  const larger = { ...config, model: { ...config.model, vocabSize: task.codec.vocabSize + 2 } }
  const { model } = (await Trainer.begin(larger, { task })).config
  const { suppressedIds } = model.generation!
  const unknown = (ids: readonly number[]): string[] => ids.map(id => task.codec.targets.decode([id]))
  expect(suppressedIds).toContain(task.codec.targets.unkId)
  expect(suppressedIds!.slice(-2)).toEqual([task.codec.vocabSize, task.codec.vocabSize + 1])
  expect(new Set(unknown(suppressedIds!))).toEqual(new Set([UNKNOWN_TEXT]))
  const others = Array.from({ length: model.vocabSize }, (_, id) => id).filter(id => !suppressedIds!.includes(id))
  expect(unknown(others)).not.toContain(UNKNOWN_TEXT)
  const own = { ...larger, model: { ...larger.model, generation: { suppressedIds: [5] } } }
  expect((await Trainer.begin(own, { task })).config.model.generation).toEqual({ suppressedIds: [5] })
})

describe('gradient accumulation', () => {
  it('equals one large batch, with different numbers of targets in each part', async () => {
    const whole = await train(plain(), 'whole')
    for (const accumulate of [2, 4]) {
      const parts = await train(plain({ accumulate }), `parts-${accumulate}`)
      expect(largestDifference(parts.values, whole.values)).toBeLessThan(1e-5)
      parts.records.forEach((record, i) => {
        for (const name of ['loss', 'crossEntropy', 'zLoss', 'accuracy', 'gradientNorm', 'targetTokens'])
          expect(Number(record[name]) / Number(whole.records[i][name]) || 1).toBeCloseTo(1, 5)
      })
    }
  })

  it('draws other noise in each part', async () => {
    const first = await train(configWith({ accumulate: 2, steps: 1 }), 'a')
    expect(first.records).not.toEqual([])
    expect((await train(configWith({ steps: 1 }), 'b')).values).not.toEqual(first.values)
  })

  it('needs equal parts', async () => {
    await expect(Trainer.begin(configWith({ accumulate: 3 }), { task })).rejects.toThrow(
      'train.accumulate is 3, which does not divide train.rows, 2',
    )
  })
})

describe('weight averaging', () => {
  it('keeps the moving average of the parameters, which checkpoints hold as their parameters', async () => {
    const decay = 0.5
    const after: number[][] = [await parameterValues(await Trainer.begin(plain(), { task }))]
    for (let steps = 1; steps <= 3; steps++) after.push((await train(plain({ steps }), `plain-${steps}`)).values)
    let average = after[0]
    for (let step = 0; step < 3; step++) {
      const d = Math.min(decay, (1 + step) / (10 + step))
      average = average.map((a, i) => a + (1 - d) * (after[step + 1][i] - a))
    }
    const averaged = await train(plain({ steps: 3, averageDecay: decay }), 'averaged')
    expect(largestDifference(averaged.values, average)).toBeLessThan(1e-6)

    const checkpoint = await openCheckpoint(join(folder, 'averaged'))
    try {
      const stored = await readTensors(checkpoint.params)
      expect([...stored].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, t]) => toNumbers(t)).length).toBe(
        averaged.values.length,
      )
      const [path, tensor] = [...stored][0]
      const trained = (await readTensors(checkpoint.optimizer!)).get(`trained/${path}`)!
      expect(toNumbers(tensor)).not.toEqual(toNumbers(trained))
    } finally {
      await checkpoint.close()
    }
  })
})

describe('dropout from a later step on', () => {
  it('trains without dropout before, and with the same dropout after', async () => {
    const noDropout = { ...config.model, dropoutRate: 0 }
    const noExpertDropout = { ...config.router, expertDropoutRate: 0 }
    const late = await train(configWith({ dropoutFrom: 100 }), 'late')
    const never = await train({ ...config, model: noDropout, router: { ...noExpertDropout, jitterNoise: 0 } }, 'never')
    const lateWithoutJitter = await train(
      { ...configWith({ dropoutFrom: 100 }), router: { ...config.router, jitterNoise: 0 } },
      'late-2',
    )
    expect(largestDifference(lateWithoutJitter.values, never.values)).toBeLessThan(1e-6)
    expect(late.values).not.toEqual(never.values)

    const always = await train(config, 'always')
    const fromFirst = await train(configWith({ dropoutFrom: 1 }), 'from-1')
    expect(fromFirst.values).not.toEqual(always.values)
  })
})

describe('buckets', () => {
  it('give the loss and the accuracy of full rows', async () => {
    const given = configWith({ packing: false, buckets: 3, rows: 4, inputLength: 40 })
    const { rows, inputLength, targetLength, seed, buckets } = given.train
    const iterator = new TrainIterator(task.tokens('train'), {
      rows,
      inputLength,
      targetLength,
      seed,
      packing: false,
      buckets,
    })
    const { params } = await Trainer.begin(given, { task })
    const { model, router } = given
    const evaluate = jit((batch: Batch) => {
      const [, figures] = lossFunction(params, batch, { config: model, router, mode: 'eval' })
      return { crossEntropy: figures.crossEntropy, accuracy: figures.accuracy, targetTokens: figures.targetTokens }
    })
    const figuresOf = (batches: readonly PackedFeatures[]) => targetFigures(batches, batch => evaluate(batch))
    const short = Array.from({ length: 8 }, () => iterator.next().features)
    expect(short.every(({ encoder_input_tokens: inputs }) => inputs.shape[1] < inputLength)).toBe(true)
    const full = short.map(features =>
      Object.fromEntries(
        Object.entries(features).map(([name, tensor]) => [
          name,
          padded(tensor, name.startsWith('encoder') ? inputLength : targetLength),
        ]),
      ),
    ) as unknown as PackedFeatures[]
    const [inBuckets, inFullRows] = [await figuresOf(short), await figuresOf(full)]
    expect(inBuckets.crossEntropy).toBeCloseTo(inFullRows.crossEntropy, 5)
    expect(inBuckets.accuracy).toBe(inFullRows.accuracy)
  })

  it('need less padding, and count the operations of each size of batch', async () => {
    const run = (buckets: number) =>
      train(configWith({ packing: false, buckets, inputLength: 40, logEvery: 1 }), `${buckets}`)
    const [one, three] = [(await run(1)).records.at(-1)!, (await run(3)).records.at(-1)!]
    expect(three.packingEfficiency).toBeGreaterThan(2 * Number(one.packingEfficiency))
    expect(Number.isFinite(three.flopsPerSecond)).toBe(true)
  })
})

/** A tensor of shape [rows, length], filled up with 0 to another length. */
function padded({ data, shape, dtype }: HostTensor, length: number): HostTensor {
  const [rows, own] = shape
  const values = dtype === 'int32' ? new Int32Array(rows * length) : new Float32Array(rows * length)
  for (let row = 0; row < rows; row++)
    values.set((data as Int32Array | Float32Array).subarray(row * own, (row + 1) * own), row * length)
  return { data: values, shape: [rows, length], dtype }
}

describe('settings', () => {
  it('have defaults, so that runs of older versions open', () => {
    const {
      init: _i,
      accumulate: _a,
      remat: _r,
      scanLayers: _s,
      labelSmoothing: _l,
      zLoss: _z,
      averageDecay: _d,
      dropoutFrom: _f,
      buckets: _b,
      ...old
    } = config.train
    expect(parseRunConfig({ ...config, train: old })).toEqual(config)
  })

  it('are set by their paths', () => {
    expect(
      overrideConfig(config, ['train.accumulate=2', 'train.averageDecay=0.999', 'train.zLoss=0']).train,
    ).toMatchObject({
      accumulate: 2,
      averageDecay: 0.999,
      zLoss: 0,
    })
    expect(() => overrideConfig(config, ['train.averageDecay=1'])).toThrow('train.averageDecay: must be less than 1')
  })
})

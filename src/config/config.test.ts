import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { makeTask, taskCodec } from '../data/task.js'
import type { Task } from '../data/task.js'
import { makeVocabularies } from '../data/tokenizers/tokenizers.js'
import { overrideConfig, overrideNewRun } from './overrides.js'
import { fittedConfig } from './fitted-config.js'
import { parsePartialModel } from './partial.js'
import { pretraining } from './recipes/published.js'
import { recipes } from './recipes.js'
import { UserValues } from './user-values.js'
import { parseRunConfig } from './validate.js'

const g2p = recipes.g2p

describe('overrides', () => {
  it('change a copy, with the type of each setting', () => {
    const changed = overrideConfig(g2p, [
      'train.steps=30',
      'train.clipNorm=null',
      'model.tiedLogits=false',
      'model.dtype=bfloat16',
      'train.schedule.peak=1e-4',
    ])
    expect(changed.train).toMatchObject({
      steps: 30,
      clipNorm: null,
      schedule: { kind: 'linear', peak: 1e-4, warmupSteps: 100 },
    })
    expect(changed.model).toMatchObject({ tiedLogits: false, dtype: 'bfloat16' })
    expect(g2p.train.steps).not.toBe(30)
  })

  it('change a kind first, keep the settings of both kinds, and add defaults', () => {
    const changed = overrideConfig(g2p, [
      'train.optimizer.decayRate=0.7',
      'train.optimizer.kind=adafactor',
      'train.schedule.kind=cosine',
    ])
    expect(changed.train.optimizer).toEqual({
      kind: 'adafactor',
      decayRate: 0.7,
      stepOffset: 0,
      clippingThreshold: 1,
      epsilon1: 1e-30,
      epsilon2: 1e-3,
      minSizeToFactor: 128,
    })
    expect(changed.train.schedule).toEqual({ kind: 'cosine', peak: 1.5e-3, warmupSteps: 100 })
  })

  it.each([
    ['train.stepz=3', 'there is no setting train.stepz; did you mean train.steps?'],
    ['train.step=3', 'there is no setting train.step; did you mean train.steps?'],
    ['steps=3', 'there is no setting steps; did you mean train.steps?'],
    ['train.lr=3', 'there is no setting train.lr; did you mean train.schedule.peak?'],
    ['train.batch_size=3', 'there is no setting train.batch_size; did you mean train.rows?'],
    ['epochs=3', 'there is no setting epochs; did you mean train.steps?'],
    ['modle.dModel=3', 'there is no setting modle.dModel; did you mean model.dModel?'],
    ['train.optimizer.beta=3', 'train.optimizer has kind, b1, b2, epsilon, weightDecay'],
    ['train.steps.x=3', 'there is no setting train.steps.x'],
    ['__proto__.x=3', 'there is no setting __proto__.x'],
    ['train.steps=many', 'train.steps: must be a number, got "many"'],
    ['train.steps=0', 'train.steps: must be 1 or more, got 0'],
    ['model.dtype=float64', 'model.dtype: must be float32 or bfloat16, got "float64"'],
    [
      'model.relativePositionMaxDistance=16',
      'model.relativePositionMaxDistance: must be more than half of relativePositionBuckets',
    ],
    ['model.numEncoderLayers=1000000000', 'model.numEncoderLayers: must be 10000 or less'],
    ['model.relativePositionMaxDistance=30000000', 'model.relativePositionMaxDistance: must be 65536 or less'],
    ['train.rows=1000000000', 'train.rows: must be 1048576 or less'],
    ['model.numExperts=0', 'model.numExperts: must be 1 or more where layers are sparse'],
    ['train.optimizer.kind=sgd', 'train.optimizer.kind: must be adamW or adafactor, got "sgd"'],
    ['train.optimizer=adafactor', 'train.optimizer is a group of settings: set one of train.optimizer.kind,'],
    ['train.steps', 'expected a setting and its value'],
  ])('refuse %s', (override, message) => {
    expect(() => overrideConfig(g2p, [override])).toThrow(ConfigError)
    expect(() => overrideConfig(g2p, [override])).toThrow(message)
  })
})

it('a new run of few steps has a short warm-up, unless that is given', () => {
  const warmupOf = (...overrides: string[]): unknown => overrideNewRun(g2p, overrides).train.schedule
  expect(warmupOf('train.steps=30')).toEqual({ ...g2p.train.schedule, warmupSteps: 3 })
  expect(warmupOf('train.steps=30', 'train.schedule.warmupSteps=20')).toMatchObject({ warmupSteps: 20 })
  expect(warmupOf('train.steps=5000')).toEqual(g2p.train.schedule)
  expect(warmupOf('train.steps=1')).toMatchObject({ warmupSteps: 0 })
  const peakOf = (...overrides: string[]): unknown =>
    overrideNewRun(pretraining('switch-base-8'), overrides).train.schedule
  expect(peakOf('train.schedule.peak=0.005')).toMatchObject({ kind: 'inverseSquareRoot', scale: 0.5 })
  expect(peakOf('train.schedule.peak=0.005', 'train.schedule.decayFrom=40000')).toMatchObject({ scale: 1 })
  expect(peakOf('train.schedule.peak=0.005', 'train.schedule.kind=linear')).toMatchObject({ peak: 0.005 })
  expect(warmupOf('train.steps=30', 'train.schedule.kind=inverseSquareRoot')).toMatchObject({ warmupSteps: 3 })
})

it('special ids must be in the vocabulary, and are kept with the generation defaults', () => {
  const own = (padId: number) => ({
    ...g2p,
    model: {
      ...g2p.model,
      specialIds: { padId, eosIds: [1, 3], decoderStartId: 2 },
      generation: { numBeams: 4, earlyStopping: 'never' as const, unsupported: { guidance_scale: '2' } },
    },
  })
  expect(parseRunConfig(own(5))).toEqual(own(5))
  const { vocabSize } = g2p.model
  expect(() => parseRunConfig(own(vocabSize))).toThrow(`model.specialIds.padId: must be below vocabSize, ${vocabSize}`)
})

describe('sparse layers', () => {
  const sparseOf = (...overrides: string[]): (readonly number[])[] => {
    const { encoderSparseLayers, decoderSparseLayers } = overrideConfig(g2p, overrides).model
    return [encoderSparseLayers, decoderSparseLayers]
  }

  it('are set as a list, or as every n-th of the final number of layers', () => {
    expect(sparseOf()).toEqual([[1], [1]])
    expect(sparseOf('model.encoderSparseLayers=0,1', 'model.decoderSparseLayers=')).toEqual([[0, 1], []])
    expect(sparseOf('model.encoderSparseEvery=3', 'model.numEncoderLayers=7')).toEqual([[2, 5], [1]])
    expect(sparseOf('model.encoderSparseEvery=0', 'model.decoderSparseEvery=1')).toEqual([[], [0, 1]])
  })

  it('stay every n-th when the number of layers changes, unless they are listed too', () => {
    expect(sparseOf('model.numEncoderLayers=6')).toEqual([[1, 3, 5], [1]])
    expect(sparseOf('model.numEncoderLayers=1')).toEqual([[], [1]])
    expect(sparseOf('model.numEncoderLayers=6', 'model.encoderSparseLayers=1,4')).toEqual([[1, 4], [1]])
    const irregular = overrideConfig(g2p, ['model.numEncoderLayers=6', 'model.encoderSparseLayers=1,4'])
    expect(overrideConfig(irregular, ['model.numEncoderLayers=8']).model.encoderSparseLayers).toEqual([1, 4])
    expect(() => overrideConfig(irregular, ['model.numEncoderLayers=4'])).toThrow(
      'model.encoderSparseLayers.1: must be a layer of the stack, which are 0 to 3, got 4',
    )
  })

  it('are layers that exist, each once', () => {
    expect(() => sparseOf('model.decoderSparseLayers=1,2')).toThrow(
      'model.decoderSparseLayers.1: must be a layer of the stack, which are 0 to 1, got 2',
    )
    expect(() => sparseOf('model.decoderSparseLayers=1,1')).toThrow(
      'model.decoderSparseLayers.1: must not be there twice, got 1',
    )
    expect(() => sparseOf('model.decoderSparseLayers=x')).toThrow(
      'model.decoderSparseLayers.0: must be a number, got "x"',
    )
    expect(() => sparseOf('model.decoderSparseEvery=x')).toThrow(
      'model.decoderSparseEvery: must be a whole number of 0 or more, got "x"',
    )
    expect(() => sparseOf('model.decoderSparseEvry=2')).toThrow('did you mean model.decoderSparseEvery?')
    expect(() => sparseOf('model.numExperts=0')).toThrow('in a dense model, encoderSparseLayers and decoder')
  })
})

it('a configuration in the order of SeqIO packs its rows', () => {
  expect(overrideConfig(g2p, ['train.packing=false']).train.packing).toBe(false)
  expect(overrideConfig(g2p, ['train.packing=false', 'train.buckets=4']).train.buckets).toBe(4)
  expect(() => overrideConfig(g2p, ['train.buckets=4'])).toThrow('train.buckets: must be 1 with train.packing=true')
  expect(() => overrideConfig(g2p, ['train.dataOrder=seqio', 'train.packing=false'])).toThrow(
    'train.packing: must be true with train.dataOrder=seqio',
  )
})

describe('a saved configuration', () => {
  it('may come from a version without the setting relativePositionBias', () => {
    const { relativePositionBias: _, ...model } = g2p.model
    expect(parseRunConfig({ ...g2p, model })).toEqual(g2p)
    expect(() => parseRunConfig({ ...g2p, model: { ...model, relativePositionBias: 'none' } })).toThrow(
      'model.relativePositionBias: must be perStack or perLayer',
    )
  })

  it('may have rules instead of lists of sparse layers; a list beside a rule wins', () => {
    const { encoderSparseLayers: _e, decoderSparseLayers: _d, ...model } = g2p.model
    const older = { ...model, numEncoderLayers: 6, encoderSparseEvery: 2, decoderSparseEvery: 0 }
    expect(parseRunConfig({ ...g2p, model: older }).model).toEqual({
      ...model,
      numEncoderLayers: 6,
      encoderSparseLayers: [1, 3, 5],
      decoderSparseLayers: [],
    })
    const listed = { ...older, encoderSparseEvery: 0, encoderSparseLayers: [1, 4] }
    expect(parseRunConfig({ ...g2p, model: listed }).model).toMatchObject({ encoderSparseLayers: [1, 4] })
    expect(() => parseRunConfig({ ...g2p, model: { ...older, encoderSparseEvery: 'x' } })).toThrow(
      'model.encoderSparseEvery: there is no such setting',
    )
  })

  it('may have the older name of gated GELU', () => {
    const { gatedActivation: _, ...model } = g2p.model
    const gated = { ...g2p, model: { ...g2p.model, activation: 'geluTanh', gatedActivation: true } }
    expect(parseRunConfig({ ...g2p, model: { ...model, activation: 'gatedGelu' } })).toEqual(gated)
    expect(parseRunConfig({ ...g2p, model })).toEqual(g2p)
    expect(overrideConfig(g2p, ['model.activation=gatedGelu'])).toEqual(gated)
  })
})

describe('a partial configuration of a model', () => {
  it('is read from a value, then overridden', () => {
    expect(
      parsePartialModel(
        { model: { dFf: 7 } },
        ['router.maxGroupSize=8', 'model.activation=silu', 'router.ignorePaddingTokens=true'],
        'x',
      ),
    ).toEqual({ model: { dFf: 7, activation: 'silu' }, router: { maxGroupSize: 8, ignorePaddingTokens: true } })
    expect(() => parsePartialModel({}, ['router.maxGroupsize=8'], 'x')).toThrow('did you mean router.maxGroupSize?')
    expect(() => parsePartialModel({}, ['train.steps=8'], 'x')).toThrow('there is no setting train.steps')
    expect(() => parsePartialModel({ model: { width: 3 } }, [], 'x.json')).toThrow(
      'x.json is not right:\n  model.width: there is no such setting',
    )
  })
})

describe('recipes', () => {
  it('are valid and survive JSON', () => {
    for (const recipe of Object.values(recipes))
      expect(parseRunConfig(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe)
  })

  it('are found by name', async () => {
    const known = new UserValues()
    expect((await known.runNamed('g2p')).config).toBe(g2p)
    await expect(known.runNamed('g2pfull')).rejects.toThrow('did you mean g2p-full?')
    await expect(known.runNamed('toString')).rejects.toThrow('there is no recipe or task "toString"')
  })
})

describe('a configuration for pairs', () => {
  const taskOf = async (count: number, length: number): Promise<Task> => {
    const examples = Array.from({ length: count }, (_, i) => ({
      input: 'ab'.repeat(length / 2),
      target: `x y${i % 3}`,
      alternatives: [],
    }))
    return {
      ...makeTask({
        name: 't',
        codec: taskCodec(await makeVocabularies({ inputs: 'characters', targets: 'characters' }, examples)),
        examples,
      }),
      split: () => examples,
    }
  }

  it('fits the data: rows of both sides are filled by the same number of examples', async () => {
    const short = fittedConfig(await taskOf(100, 8))
    expect(short.train).toMatchObject({ rows: 8, inputLength: 64, targetLength: 40, steps: 600 })
    expect(short.model.vocabSize).toBe(3 + 2 + 6)
    const long = fittedConfig(await taskOf(5000, 200))
    expect(long.train).toMatchObject({ rows: 4, inputLength: 208, targetLength: 8, steps: 2400 })
    expect(parseRunConfig(long)).toEqual(long)
    // Labels, here of two words, are learned with a lower rate than sequences.
    expect(short.train.schedule).toMatchObject({ peak: 1.5e-3 })
    const examples = Array.from({ length: 99 }, (_, i) => ({ input: `a${i}`, target: `x y${i % 3}`, alternatives: [] }))
    const codec = taskCodec(await makeVocabularies({ inputs: 'bytes', targets: 'words' }, examples))
    const labels = makeTask({ name: 'labels', codec, examples })
    expect(fittedConfig(labels).train.schedule).toMatchObject({ peak: 5e-4 })
    expect(fittedConfig(await taskOf(3, 5000)).train.inputLength).toBe(512)
  })

  it('begins new models with aligned attention', async () => {
    const aligned = { init: 'aligned', rates: [{ path: 'token_embedder' }, { path: 'relpos_bias' }] }
    for (const { train } of [...Object.values(recipes), fittedConfig(await taskOf(1, 8))]) {
      expect(train).toMatchObject(aligned)
    }
  })

  it('trains for few steps on few examples, with a short warm-up', async () => {
    const { steps, schedule } = fittedConfig(await taskOf(1, 8)).train
    expect([steps, schedule]).toEqual([20, { kind: 'linear', peak: 1.5e-3, warmupSteps: 2 }])
    expect(fittedConfig(await taskOf(50, 8)).train.steps).toBe(300)
  })
})

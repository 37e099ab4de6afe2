import { describe, expect, it } from 'vitest'
import { makeTask, taskCodec } from '../data/task.js'
import type { Task } from '../data/task.js'
import { preset } from '../model/presets.js'
import { ByteVocabulary } from '../text/bytes.js'
import { finetuneConfig } from './finetune.js'
import { fittedConfig } from './fitted-config.js'
import { recipes } from './recipes.js'

const bytes = new ByteVocabulary()
const task = makeTask({
  name: 'numbers',
  codec: taskCodec({ inputs: bytes, targets: bytes }),
  examples: Array.from({ length: 3000 }, (_, i) => ({ input: `number ${i}`, target: String(i), alternatives: [] })),
})
const { model, router } = preset('switch-base-8')
const hf = {
  path: 'google/switch-base-8',
  container: 'huggingface',
  model: { ...model, reference: 'hf' as const },
  router: { ...router, expertCapacity: 64, jitterNoise: 0.01, auxLossFactor: 0.001 },
}

describe('finetuneConfig', () => {
  it("has T5's settings of fine-tuning, in float32 and in our own meaning", () => {
    const config = finetuneConfig(hf, task, [])
    expect(config.model).toEqual({ ...model, dtype: 'float32', dropoutRate: 0.1, reference: 'switchyard' })
    expect(config.router).toEqual({ ...router, expertDropoutRate: 0.1 })
    expect(config.train).toMatchObject({
      optimizer: { kind: 'adafactor', decayRate: 0.8, stepOffset: 0 },
      clipNorm: null,
      rates: [],
    })
    expect(config.train.schedule).toEqual({
      kind: 'constant',
      peak: 1e-3,
      warmupSteps: Math.ceil(config.train.steps / 10),
    })
    expect(config.from).toEqual({
      path: 'google/switch-base-8',
      container: 'huggingface',
      step: 0,
      optimizer: 'fresh',
      rules: [],
    })
  })

  it('is sized to the data', () => {
    const { rows, inputLength, targetLength, steps } = finetuneConfig(hf, task, []).train
    expect([rows, inputLength, targetLength]).toEqual([16, 64, 32])
    expect(steps).toBeGreaterThan(100)
    expect(steps).toBeLessThan(400)
  })

  it('is sized to rows of random preprocessors, which have no texts', () => {
    const corrupted: Task = {
      ...task,
      isRandom: true,
      split: () => [],
      tokens: (_, { lengths } = {}) => ({
        length: 5000,
        get: i => ({ inputs: new Int32Array(lengths!.inputs), targets: new Int32Array(40 + (i % 19)) }),
      }),
    }
    const { rows, inputLength, targetLength, steps } = finetuneConfig(hf, corrupted, []).train
    expect([rows, inputLength, targetLength, steps]).toEqual([4, 256, 64, 2000])
    expect(fittedConfig(corrupted).train).toMatchObject({ inputLength: 256, targetLength: 64 })
    const empty = { ...corrupted, tokens: () => ({ length: 0, get: () => undefined as never }) }
    expect(() => finetuneConfig(hf, empty, [])).toThrow('numbers: there are no examples to train on')
  })

  it('gives Adam a rate of its own, and a longer run a longer warm-up', () => {
    const { train } = finetuneConfig(hf, task, ['train.optimizer.kind=adamW', 'train.steps=50000'])
    expect(train).toMatchObject({
      clipNorm: 1,
      checkpointEvery: 2000,
      schedule: { kind: 'constant', peak: 3e-4, warmupSteps: 1000 },
    })
    expect(
      finetuneConfig(hf, task, ['train.optimizer.kind=adamW', 'train.schedule.peak=0.01']).train.schedule,
    ).toMatchObject({
      peak: 0.01,
    })
  })

  it('trains adapters by Adam', () => {
    const { train } = finetuneConfig(hf, task, ['train.lora.rank=4', 'train.lora.targets=query,expert/wi'])
    expect(train).toMatchObject({ optimizer: { kind: 'adamW' }, clipNorm: 1, schedule: { peak: 1e-3 } })
    expect(train.lora).toEqual({ rank: 4, alpha: 16, targets: ['query', 'expert/wi'] })
  })

  it('freezes, and scales learning rates, by lists of patterns', () => {
    const { train } = finetuneConfig(hf, task, ['train.freeze=*, !decoder', 'train.rates=decoder=0.5,logits_dense=2'])
    expect(train.freeze).toEqual(['*', '!decoder'])
    expect(train.rates).toEqual([
      { path: 'decoder', factor: 0.5 },
      { path: 'logits_dense', factor: 2 },
    ])
    expect(() => finetuneConfig(hf, task, ['train.rates=decoder=0'])).toThrow(
      'train.rates.0: must be PATTERN=FACTOR with a factor above 0, such as token_embedder=0.1; train.freeze stops training, got "decoder=0"',
    )
  })

  it("keeps transformers' router settings with transformers' meaning", () => {
    const { model: settings, router: routing } = finetuneConfig(hf, task, ['model.reference=hf'])
    expect([settings.reference, routing]).toEqual(['hf', { ...hf.router, expertDropoutRate: 0.1 }])
  })

  it("restores a run's optimizer state with the optimizer that made it", () => {
    const run = { config: recipes.g2p, step: 70 }
    const source = { path: 'runs/g2p', container: 'native', model: recipes.g2p.model, router: recipes.g2p.router, run }
    const restored = finetuneConfig(source, task, ['from.optimizer=restored'])
    expect(restored.from).toMatchObject({ step: 70, optimizer: 'restored' })
    expect(restored.train).toMatchObject({ optimizer: recipes.g2p.train.optimizer, clipNorm: 1 })
    expect(finetuneConfig(source, task, []).train.optimizer.kind).toBe('adafactor')
  })

  it('takes rules as a list, and says what a rule looks like', () => {
    const { from } = finetuneConfig(hf, task, ['from.rules=router=skip,decoder/layers_1=decoder/layers_3'])
    expect(from!.rules).toEqual([
      { path: 'router', from: null },
      { path: 'decoder/layers_1', from: 'decoder/layers_3' },
    ])
    expect(() => finetuneConfig(hf, task, ['from.rules=router'])).toThrow(
      'from.rules.0: must be PATTERN=skip or PATTERN=NAMES, such as decoder/logits_dense=skip, got "router"',
    )
    expect(() => finetuneConfig(hf, task, ['from.optimiser=fresh'])).toThrow('did you mean from.optimizer?')
  })
})

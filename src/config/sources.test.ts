import { describe, expect, it } from 'vitest'
import { overrideConfig, overrideNewRun } from './overrides.js'
import { fineTuning, pretraining, publishedRecipe, publishedSource } from './recipes/published.js'
import { recipes } from './recipes.js'
import { differingSettings, explainSettings } from './sources.js'
import type { Origin } from '../train/restore/origin.js'
import { parseRunConfig, settingsOf } from './validate.js'

const sourcesOf = (explained: ReturnType<typeof explainSettings>): Record<string, string> =>
  Object.fromEntries(explained.map(({ path, source }) => [path, source]))

describe('the sources of settings', () => {
  it('are the recipe, the defaults and --set, for every setting', () => {
    const set = ['train.steps=30', 'train.optimizer.kind=adafactor']
    const config = overrideNewRun(recipes.g2p, set)
    const explained = explainSettings(config, { base: 'recipe g2p', set }, recipes.g2p)
    expect(explained.map(({ path }) => path)).toEqual(settingsOf(config).map(([path]) => path))
    expect(sourcesOf(explained)).toMatchObject({
      'train.steps': '--set',
      'train.schedule.warmupSteps': '--set train.steps',
      'train.optimizer.kind': '--set',
      'train.optimizer.decayRate': '--set',
      'train.rows': 'recipe g2p',
      'train.accumulate': 'default',
      'model.relativePositionBuckets': 'default',
      'model.dModel': 'recipe g2p',
    })
  })

  it('of lists of sparse layers are their rule, or the number of layers that they follow', () => {
    const set = ['model.encoderSparseEvery=1', 'model.numDecoderLayers=4']
    const explained = explainSettings(overrideNewRun(recipes.g2p, set), { base: 'recipe g2p', set }, recipes.g2p)
    expect(sourcesOf(explained)).toMatchObject({
      'model.encoderSparseLayers': '--set',
      'model.decoderSparseLayers': '--set model.numDecoderLayers',
    })
  })

  it('are the data and the weights, for a model that is fine-tuned', () => {
    const origin = { base: 'finetune', data: 'pairs.tsv', weights: 'google/t5', set: ['model.dropoutRate=0'] }
    expect(sourcesOf(explainSettings(recipes.g2p, origin))).toMatchObject({
      'task.kind': 'data pairs.tsv',
      'train.steps': 'data pairs.tsv',
      'model.dModel': 'weights google/t5',
      'model.dropoutRate': '--set',
      'train.seed': 'finetune',
      'train.freeze': 'default',
    })
  })

  it('are finetune itself for what it chooses in the place of the weights', () => {
    const origin = { base: 'finetune', data: 'pairs.tsv', weights: 'google/x', set: [] }
    const explained = (from: Partial<Origin>) =>
      sourcesOf(
        explainSettings(
          {
            ...recipes.g2p,
            model: { ...recipes.g2p.model, dropoutRate: 0.1 },
            router: { ...recipes.g2p.router, expertDropoutRate: 0.1 },
            from: { path: 'google/x', container: 'huggingface', step: 0, optimizer: 'fresh', rules: [], ...from },
          },
          origin,
        ),
      )
    expect(explained({})).toMatchObject({
      'model.dModel': 'weights google/x',
      'model.dropoutRate': 'finetune',
      'model.reference': 'default',
      'router.expertDropoutRate': 'finetune',
      'router.trainCapacityFactor': 'default',
      'router.bias': 'weights google/x',
      'from.path': 'weights google/x',
      'from.optimizer': 'default',
      'from.rules': 'default',
    })
    expect(explained({ container: 'native', step: 9, optimizer: 'restored' })).toMatchObject({
      'model.reference': 'weights google/x',
      'router.trainCapacityFactor': 'weights google/x',
      'model.dropoutRate': 'finetune',
      'from.optimizer': 'finetune',
    })
  })
})

it('two configurations differ in the settings that one of them has alone, too', () => {
  const other = overrideConfig(recipes.g2p, ['train.steps=5', 'train.schedule.kind=inverseSquareRoot'])
  expect(differingSettings(recipes.g2p, recipes.g2p)).toEqual([])
  expect(differingSettings(recipes.g2p, other)).toEqual([
    { path: 'train.steps', values: [2400, 5] },
    { path: 'train.schedule.kind', values: ['linear', 'inverseSquareRoot'] },
    { path: 'train.schedule.peak', values: [1.5e-3, undefined] },
    { path: 'train.schedule.scale', values: [undefined, 1] },
    { path: 'train.schedule.decayFrom', values: [undefined, 10_000] },
  ])
})

describe('published recipes', () => {
  it('are valid configurations of each preset, with the published values', () => {
    for (const make of [pretraining, fineTuning]) {
      const config = make('switch-base-8')
      expect(parseRunConfig(config)).toEqual(config)
    }
    expect(publishedRecipe('switch-base-8/pretraining')).toEqual(pretraining('switch-base-8'))
    expect(publishedRecipe('t5-1.1-small/fine-tuning')!.model).toMatchObject({ dropoutRate: 0.1, dModel: 512 })
    expect(publishedRecipe('g2p')).toBeUndefined()
    expect(() => publishedRecipe('switch-base-9/pretraining')).toThrow('switch-base-8')
  })

  it('have a source for every setting', () => {
    expect(publishedSource('train.schedule.peak')).toContain('gin')
    for (const [path] of settingsOf(pretraining('switch-base-8'))) expect(publishedSource(path)).not.toBe('')
  })
})

import { expect, it } from 'vitest'
import { config as ran, task } from '../../test/train/small-run.js'
import { distillConfig } from './distill.js'
import type { DistillSource } from './distill.js'
import { parseRunConfig } from './validate.js'

const teacher = { kind: 'weights', path: '/runs/t/step-8', fingerprint: '0123abcd' } as const
const source = (changes: Partial<DistillSource> = {}): DistillSource => ({
  path: 'runs/t',
  container: 'native',
  model: ran.model,
  router: ran.router,
  run: { config: ran, step: 8 },
  teacher,
  isOwnTask: true,
  ...changes,
})

it("the student is the dense twin, trained as the teacher's run was, from its weights where they fit", () => {
  const config = distillConfig(source(), task, ['distill.temperature=2', 'train.steps=5'])
  expect(config.model).toEqual({ ...ran.model, encoderSparseLayers: [], decoderSparseLayers: [], numExperts: 0 })
  expect(config.train).toEqual({ ...ran.train, steps: 5 })
  expect(config.distill).toEqual({ teacher, hardWeight: 0.75, softWeight: 0.25, temperature: 2 })
  expect(config.from).toEqual({
    path: '/runs/t/step-8',
    container: 'native',
    step: 8,
    optimizer: 'fresh',
    rules: [
      { path: 'encoder/layers_*/mlp', from: null },
      { path: 'decoder/layers_*/mlp', from: null },
    ],
  })
  expect(parseRunConfig(structuredClone(config))).toEqual(config)
})

it('rules of the user take the place of those', () => {
  expect(distillConfig(source(), task, ['from.rules=*=skip']).from!.rules).toEqual([{ path: '*', from: null }])
})

it('on another task, the student is trained as in fine-tuning', () => {
  const { train, model } = distillConfig(source({ isOwnTask: false }), task, ['train.optimizer.kind=adamW'])
  expect(train.schedule).toMatchObject({ kind: 'constant', peak: 3e-4 })
  expect(model.dropoutRate).toBe(0.1)
})

it('of a dense teacher, the student has to be smaller', () => {
  const model = { ...ran.model, encoderSparseLayers: [], decoderSparseLayers: [], numEncoderLayers: 2 }
  const dense = source({ model, run: { config: { ...ran, model }, step: 8 } })
  expect(() => distillConfig(dense, task, [])).toThrow(
    'runs/t: this model has no experts, so its dense twin is the model itself: make the student smaller, as in model.numEncoderLayers=1',
  )
  expect(distillConfig(dense, task, ['model.numEncoderLayers=1']).from!.rules).toEqual([])
  const narrow = distillConfig(dense, task, ['model.dFf=8']).from!.rules
  expect(narrow.map(({ path }) => path)).toEqual(['encoder/layers_*/mlp', 'decoder/layers_*/mlp'])
})

it.each([
  ['distill.temperature=0', 'distill.temperature: must be more than 0'],
  ['distill.hardWeight=-1', 'distill.hardWeight: must be 0 or more'],
])('refuses %s', (override, message) => {
  expect(() => distillConfig(source(), task, [override])).toThrow(message)
})

it('refuses a loss without a term', () => {
  expect(() => distillConfig(source(), task, ['distill.hardWeight=0', 'distill.softWeight=0'])).toThrow(
    'distill.softWeight: must be above 0 if hardWeight is 0',
  )
})

import { describe, expect, it } from 'vitest'
import { hostFrom } from '../../base/host-tensor.js'
import type { ModelConfig } from '../config.js'
import { declareParameters } from '../parameters.js'
import { baseModel, baseRouter } from '../presets.js'
import { mostUsed, prunedModel, prunedParameter } from './prune.js'

const model: ModelConfig = {
  ...baseModel,
  vocabSize: 8,
  dModel: 2,
  dFf: 1,
  numHeads: 1,
  headDim: 2,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  encoderSparseLayers: [1],
  decoderSparseLayers: [1],
  numExperts: 4,
}
const kept = new Map([
  ['encoder/layers_1', [1, 3]],
  ['decoder/layers_1', [0, 1]],
])

describe('a pruned model', () => {
  it('keeps the most used experts of each layer, in their order', () => {
    const use = new Map([
      ['encoder/layers_1', [0.1, 0.4, 0.2, 0.3]],
      ['decoder/layers_1', [0.25, 0.25, 0.25, 0.25]],
    ])
    expect(mostUsed(use, 2)).toEqual(kept)
  })

  it('has the columns of the kept experts in the router', async () => {
    const specs = declareParameters(prunedModel(model, 2), { ...baseRouter, bias: true })
    const shapes = new Map(declareParameters(model, { ...baseRouter, bias: true }).map(s => [s.path, s.shape]))
    const read = (path: string) => {
      const shape = shapes.get(path)!
      const size = shape.reduce((a, b) => a * b, 1)
      return Promise.resolve(
        hostFrom(
          'float32',
          shape,
          Array.from({ length: size }, (_, i) => i),
        ),
      )
    }
    for (const spec of specs.filter(({ role }) => role !== 'expertKernel'))
      expect((await prunedParameter(spec, kept, read)).shape, spec.path).toEqual(spec.shape)
    const values = async (path: string): Promise<number[]> =>
      Array.from(
        (
          await prunedParameter(
            specs.find(s => s.path === path)!,
            kept,
            read,
          )
        ).data,
        Number,
      )
    expect(await values('encoder/layers_1/mlp/router/router_weights/w/kernel')).toEqual([1, 3, 5, 7])
    expect(await values('encoder/layers_1/mlp/router/router_weights/w/bias')).toEqual([1, 3])
  })

  it('has fewer experts than the model, and at least one', () => {
    const dense = { ...model, encoderSparseLayers: [], decoderSparseLayers: [] }
    expect(() => prunedModel(dense, 2)).toThrow('this model is dense')
    for (const n of [0, 4, 1.5]) expect(() => prunedModel(model, n)).toThrow('the model has 4, so a pruned one has')
  })
})

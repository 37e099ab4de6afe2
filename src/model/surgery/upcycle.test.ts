import { describe, expect, it } from 'vitest'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import { fromHost } from '../../engine/api/tensor.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { ModelConfig } from '../config.js'
import { everyNthLayer } from '../sparse-layers.js'
import { initParameters } from '../init.js'
import { lossFunction } from '../loss.js'
import { declareParameters } from '../parameters.js'
import { baseModel, baseRouter } from '../presets.js'
import type { Batch, ModelParams } from '../types.js'
import { densePath, upcycledModel, upcycledParameter } from './upcycle.js'

const dense: ModelConfig = {
  ...baseModel,
  vocabSize: 64,
  dModel: 16,
  dFf: 32,
  numHeads: 2,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  encoderSparseLayers: [],
  decoderSparseLayers: [],
  numExperts: 0,
  initScale: 1,
  dtype: 'float32',
}
const [rows, length] = [4, 24]
const tokens = (seed: number): Tensor => random.randint(random.key(seed), [rows, length], 1, dense.vocabSize)
const batch = (): Batch => ({
  encoder_input_tokens: tokens(1),
  decoder_input_tokens: tokens(2),
  decoder_target_tokens: tokens(3),
  decoder_loss_weights: np.ones([rows, length]),
})

/** The parameters of an upcycled model, made from those of the dense one. */
async function upcycle(params: ModelParams, model: ModelConfig): Promise<ModelParams> {
  const leaves = new Map(leavesWithPaths<Tensor>(params as never))
  const specs = declareParameters(model, baseRouter)
  const entries = await Promise.all(
    specs.map(async (spec, i) => {
      const tensor = await upcycledParameter(spec, i, async path => leaves.get(path)!.data(), 7)
      return [spec.path, fromHost(tensor)] as const
    }),
  )
  return treeFromPaths(entries) as unknown as ModelParams
}

async function figures(params: ModelParams, config: ModelConfig): Promise<Record<string, number[]>> {
  const [, metrics] = lossFunction(params, batch(), { config, router: baseRouter, mode: 'eval' })
  return Object.fromEntries(
    await Promise.all(Object.entries(metrics).map(async ([name, x]) => [name, await x.numbers()] as const)),
  )
}

describe('an upcycled model', () => {
  it.each([
    ['relu', 2, 2],
    ['relu', 8, 1],
    ['geluTanh', 4, 2],
  ] as const)(
    'with %s and %i experts in every layer of %i has the loss of the dense one',
    async (activation, n, every) => {
      const config = { ...dense, activation, gatedActivation: activation === 'geluTanh' }
      const params = initParameters(declareParameters(config, baseRouter), random.key(0))
      const model = upcycledModel(config, {
        numExperts: n,
        encoderSparseLayers: everyNthLayer(2, every),
        decoderSparseLayers: everyNthLayer(2, every),
      })
      const [before, after] = [await figures(params, config), await figures(await upcycle(params, model), model)]
      expect(Math.abs(after.crossEntropy[0] - before.crossEntropy[0])).toBeLessThan(1e-5)
      expect(before.crossEntropy[0]).toBeGreaterThan(4)
      // The router sends tokens to several experts, and none is dropped.
      expect(after.shareDropped).toEqual([0])
      expect(after.expertUsage[0]).toBeGreaterThan(0.5)
    },
  )

  it('is made of a dense model only, with two experts or more', () => {
    expect(() => upcycledModel({ ...dense, encoderSparseLayers: [1] }, { numExperts: 4 })).toThrow(
      'has experts already',
    )
    expect(() => upcycledModel(dense, { numExperts: 1 })).toThrow('at least 2 experts')
    expect(densePath({ path: 'encoder/layers_1/mlp/expert/wi_0/kernel' })).toBe('encoder/layers_1/mlp/wi_0/kernel')
  })
})

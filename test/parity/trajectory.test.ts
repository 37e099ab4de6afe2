import { expect, it } from 'vitest'
import { toNumbers } from '../../src/base/host-tensor.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import type { ModelConfig, RouterConfig } from '../../src/model/config.js'
import { declareParameters } from '../../src/model/parameters.js'
import type { Batch } from '../../src/model/types.js'
import { trainingLoss } from '../../src/train/loss.js'
import { adafactor } from '../../src/train/optimizers/adafactor.js'
import { makeTrainStep } from '../../src/train/step.js'
import { loadFixture, readJson, treeOf, worstDifference } from './t5x-fixtures.js'

/** The sizes of the reference's model (Flaxformer's switch_base.gin, made tiny). */
const model: ModelConfig = {
  vocabSize: 128,
  dModel: 32,
  dFf: 64,
  numHeads: 4,
  headDim: 8,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  encoderSparseLayers: [1],
  decoderSparseLayers: [1],
  numExperts: 4,
  activation: 'relu',
  gatedActivation: false,
  sharedEmbedding: true,
  tiedLogits: true,
  scaleLogits: true,
  relativePositionBias: 'perStack',
  relativePositionBuckets: 32,
  relativePositionMaxDistance: 128,
  layerNormEpsilon: 1e-6,
  dropoutRate: 0,
  initScale: 1,
  dtype: 'float32',
  reference: 't5x',
}
const router: RouterConfig = {
  kind: 'tokensChoose',
  decoderKind: null,
  selectedExperts: 1,
  batchPrioritized: false,
  maxGroupSize: 8192,
  trainCapacityFactor: 1.25,
  evalCapacityFactor: 2,
  minExpertCapacity: 4,
  expertCapacity: null,
  bias: false,
  jitterNoise: 0,
  expertDropoutRate: 0,
  auxLossFactor: 0.01,
  zLossFactor: 0,
  ignorePaddingTokens: false,
}

it('trains as T5X does: ten whole steps of Switch with Adafactor', async () => {
  const expected = await loadFixture('trajectory.safetensors')
  const batches = await Promise.all(
    ['switch_padded', 'switch_packed'].map(
      async name => treeOf(await loadFixture(`${name}.safetensors`), 'batch/') as unknown as Batch,
    ),
  )
  const axes = readJson<Record<string, string[]>>('param_axes.json')
  const specs = declareParameters(model, router)
  for (const spec of specs) expect(spec.axes, spec.path).toEqual(axes[spec.path])
  const optimizer = adafactor(specs)
  const params = treeOf(await loadFixture('params.safetensors'), '')
  const step = makeTrainStep(trainingLoss(model, router), optimizer, null)

  let arrays = { params, optimizer: optimizer.init(params) }
  const losses: number[] = []
  for (let i = 0; i < 10; i++) {
    const result = step(arrays, {
      batch: batches[i % 2],
      key: random.key(0),
      step: np.array(i, 'int32'),
      learningRate: np.array(0.01),
    })
    arrays = result.arrays
    losses.push(await result.metrics.loss.item())
  }
  toNumbers(expected.get('losses')!).forEach((loss, i) =>
    expect(Math.abs(losses[i] / loss - 1), `loss of step ${i}`).toBeLessThan(2e-6),
  )

  expect(await worstDifference(arrays.params, expected, 'params/')).toBeLessThan(1e-5)
  expect(await worstDifference(arrays.optimizer, expected, 'state/')).toBeLessThan(1e-5)
})

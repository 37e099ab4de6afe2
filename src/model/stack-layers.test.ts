import { expect, it } from 'vitest'
import { leavesWithPaths, treeMap } from '../base/pytree.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import { flattenArgs, traceTree } from '../engine/api/tracing.js'
import { smallSizes } from '../../test/small-model.js'
import type { ModelConfig, RouterConfig } from './config.js'
import { initParameters } from './init.js'
import { lossFunction } from './loss.js'
import { declareParameters } from './parameters.js'
import { preset } from './presets.js'
import type { Batch, ModelParams } from './types.js'

const { model: base, router: baseRouter } = preset('switch-base-8')
const router: RouterConfig = { ...baseRouter, jitterNoise: 0.1 }

/** A model with dropout, of an encoder in which every second layer is sparse, and a decoder of two unlike layers. */
const modelOf = (numLayers: number, changes: Partial<ModelConfig> = {}): ModelConfig => ({
  ...base,
  ...smallSizes,
  vocabSize: 32,
  numExperts: 4,
  numEncoderLayers: numLayers,
  encoderSparseLayers: Array.from({ length: numLayers }, (_, i) => i).filter(i => i % 2 === 1),
  decoderSparseLayers: [1],
  dropoutRate: 0.2,
  dtype: 'float32',
  ...changes,
})

const ids = (seed: number): Tensor => random.randint(random.key(seed), [2, 6], 3, 32)
const batch: Batch = {
  encoder_input_tokens: ids(1),
  decoder_input_tokens: ids(2),
  decoder_target_tokens: ids(3),
  decoder_loss_weights: np.ones([2, 6], 'int32'),
}

const lossOf =
  (config: ModelConfig, options: { scanLayers?: boolean; remat?: boolean }) =>
  (params: ModelParams): Tensor =>
    lossFunction(params, batch, { config, router, mode: 'train', key: random.key(5), ...options })[0]

const paramsOf = (config: ModelConfig): ModelParams =>
  initParameters(declareParameters(config, router), random.key(0)) as ModelParams

it.each([
  ['dropout, jitter, remat, and a layer more than whole blocks', modelOf(5), { remat: true }],
  ['bfloat16, whose residual becomes float32 at the first sparse layer', modelOf(6, { dtype: 'bfloat16' }), {}],
])('scanned layers give the numbers of the layers one by one: %s', async (_, config, options) => {
  const params = paramsOf(config)
  const [plain, scanned] = [false, true].map(scanLayers =>
    jit(valueAndGrad(lossOf(config, { ...options, scanLayers })))(params),
  )
  const [loss, expected] = await Promise.all([scanned[0].item(), plain[0].item()])
  const tolerance = config.dtype === 'float32' ? 1e-5 : 1e-2
  expect(Math.abs(Number(loss) - Number(expected))).toBeLessThan(tolerance)
  const differences = treeMap<Tensor, Tensor>((a, b) => np.max(np.abs(np.subtract(a, b))), scanned[1], plain[1])
  for (const [path, difference] of leavesWithPaths<Tensor>(differences))
    expect(Number(await difference.item()), path).toBeLessThan(tolerance)
})

it('has one body for all layers', () => {
  const size = (numLayers: number): number => {
    const config = modelOf(numLayers)
    const { values, def } = flattenArgs([paramsOf(config)])
    return String(traceTree(lossOf(config, { scanLayers: true }), def, values).program).match(/ = rsqrt/g)!.length
  }
  expect(size(12)).toBe(size(4))
})

import { describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { valueAndGrad } from '../engine/api/transforms.js'
import type { ModelConfig } from './config.js'
import { forward } from './forward.js'
import { initParameters } from './init.js'
import { lossFunction } from './loss.js'
import type { LossOptions } from './loss.js'
import { declareParameters } from './parameters.js'
import { preset } from './presets.js'
import type { Batch, ModelParams } from './types.js'
import { smallSizes } from '../../test/small-model.js'

const { model, router } = preset('switch-base-8')
const config: ModelConfig = {
  ...model,
  vocabSize: 40,
  ...smallSizes,
  numExperts: 4,
  dtype: 'float32',
  initScale: 2,
}
const specs = declareParameters(config, router)
const init = jit((key: Tensor) => initParameters(specs, key))
const params = (): ModelParams => init(random.key(1))

const ids = (rows: number[][]): Tensor => np.array(rows, 'int32')
const pad = (row: number[], length: number): number[] => [...row, ...new Array<number>(length - row.length).fill(0)]
const inputs = [
  [7, 12, 30, 4, 1],
  [9, 21, 1],
]
const targets = [
  [5, 31, 8, 1],
  [14, 22, 1],
]
/** One example in each row, padded to the given lengths; additional rows hold padding only. */
function batchOf(inputLength: number, targetLength: number, rows = 2): Batch {
  const filled = (sequences: number[][], length: number): number[][] =>
    Array.from({ length: rows }, (_, i) => pad(sequences[i] ?? [], length))
  const padded = filled(targets, targetLength)
  return {
    encoder_input_tokens: ids(filled(inputs, inputLength)),
    decoder_input_tokens: ids(padded.map(row => [0, ...row.slice(0, -1)])),
    decoder_target_tokens: ids(padded),
    decoder_loss_weights: np.array(padded.map(row => row.map(id => Number(id > 0)))),
  }
}
/** Both examples in one row. */
const packed = (): Batch => ({
  encoder_input_tokens: ids([pad(inputs.flat(), 10)]),
  decoder_input_tokens: ids([[0, 5, 31, 8, 0, 14, 22, 0]]),
  decoder_target_tokens: ids([pad(targets.flat(), 8)]),
  decoder_loss_weights: np.array([[1, 1, 1, 1, 1, 1, 1, 0]]),
  encoder_segment_ids: ids([[1, 1, 1, 1, 1, 2, 2, 2, 0, 0]]),
  decoder_segment_ids: ids([[1, 1, 1, 1, 2, 2, 2, 0]]),
})

const evaluation: LossOptions = { config, router, mode: 'eval' }
const logitsOf = (batch: Batch): Promise<number[]> =>
  jit((p: ModelParams, b: Batch) => forward(p, b, evaluation).logits)(params(), batch).numbers()
const metricsOf = async (batch: Batch, options: LossOptions): Promise<Map<string, number[]>> => {
  const metrics = jit((p: ModelParams, b: Batch) => lossFunction(p, b, options)[1])(params(), batch)
  return new Map(
    await Promise.all(Object.entries(metrics).map(async ([name, x]) => [name, await x.numbers()] as const)),
  )
}
const close = (actual: readonly number[], expected: readonly number[], digits = 5): void => {
  expect(actual.length).toBe(expected.length)
  actual.forEach((a, i) => expect(a).toBeCloseTo(expected[i], digits))
}

describe('the model in evaluation', () => {
  it('gives packed examples the logits that they have in rows of their own', async () => {
    const [together, apart] = [await logitsOf(packed()), await logitsOf(batchOf(5, 4))]
    const V = config.vocabSize
    close(together.slice(0, 4 * V), apart.slice(0, 4 * V))
    close(together.slice(4 * V, 7 * V), apart.slice(4 * V, 7 * V))
    expect(Math.max(...apart)).toBeGreaterThan(0.1)
  })

  it('has losses and statistics that padding does not change', async () => {
    const [tight, loose] = [await metricsOf(batchOf(5, 4), evaluation), await metricsOf(batchOf(11, 6, 3), evaluation)]
    for (const [name, values] of tight) close(loose.get(name)!, values)
    expect(tight.get('shareDropped')).toEqual([0])
    expect(tight.get('targetTokens')).toEqual([7])
    expect([...tight.keys()].filter(name => name.startsWith('expertLoad/'))).toEqual([
      'expertLoad/decoder/layers_1',
      'expertLoad/encoder/layers_1',
    ])
  })
})

describe('the loss', () => {
  it('is the sum of its terms', async () => {
    const metrics = await metricsOf(batchOf(5, 4), {
      ...evaluation,
      router: { ...router, zLossFactor: 0.001 },
      zLossFactor: 0.01,
    })
    const [loss, ...terms] = ['loss', 'crossEntropy', 'zLoss', 'auxLoss', 'routerZLoss'].map(
      name => metrics.get(name)![0],
    )
    expect(terms.every(term => term > 0)).toBe(true)
    expect(terms.reduce((a, b) => a + b)).toBeCloseTo(loss, 5)
  })

  it('counts targets by their loss weights alone', async () => {
    const batch = batchOf(5, 4)
    const none = await metricsOf({ ...batch, decoder_loss_weights: np.zeros([2, 4]) }, evaluation)
    expect([none.get('crossEntropy'), none.get('accuracy'), none.get('targetTokens')]).toEqual([[0], [0], [0]])
  })
})

describe('the model in training', () => {
  const noisy: LossOptions = {
    config: { ...config, dropoutRate: 0.2 },
    router: { ...router, expertDropoutRate: 0.2, jitterNoise: 0.01, minExpertCapacity: 1 },
    mode: 'train',
  }
  const lossWith = (seed: number): Promise<number> =>
    jit((p: ModelParams, b: Batch, key: Tensor) => lossFunction(p, b, { ...noisy, key })[0])(
      params(),
      batchOf(5, 4),
      random.key(seed),
    ).item()

  it('draws its noise from the key, and refuses to run without one', async () => {
    expect(await lossWith(0)).toBe(await lossWith(0))
    expect(await lossWith(0)).not.toBe(await lossWith(1))
    expect(() => lossFunction(params(), batchOf(5, 4), noisy)).toThrow('needs a random key')
  })

  it('routes real tokens only, in buffers of the training capacity', async () => {
    const metrics = await metricsOf(batchOf(8, 8), {
      config,
      router: { ...router, trainCapacityFactor: 0.5, minExpertCapacity: 1 },
      mode: 'train',
    })
    expect(metrics.get('shareDropped')![0]).toBeGreaterThan(0)
    for (const stack of ['encoder', 'decoder']) {
      expect(metrics.get(`expertLoad/${stack}/layers_1`)!.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    }
  })

  it('refuses parameters without the position biases of its configuration', () => {
    expect(() =>
      forward(params(), batchOf(5, 4), {
        config: { ...config, relativePositionBias: 'perLayer' },
        router,
        mode: 'eval',
      }),
    ).toThrow('relativePositionBias is perLayer, but the parameters of the encoder have no relpos_bias there')
  })

  it.each(['float32', 'bfloat16'] as const)('has a finite gradient for every parameter in %s', async dtype => {
    const options: LossOptions = { config: { ...config, dtype }, router, mode: 'train' }
    const [loss, gradients] = jit(valueAndGrad((p: ModelParams, b: Batch) => lossFunction(p, b, options)[0]))(
      params(),
      batchOf(8, 8),
    )
    expect(await loss.item()).toBeGreaterThan(0)
    const leaves = leavesWithPaths<Tensor>(gradients)
    expect(leaves.map(([path]) => path).sort()).toEqual(specs.map(s => s.path).sort())
    for (const [path, gradient] of leaves) {
      const values = await gradient.numbers()
      expect(gradient.dtype, path).toBe('float32')
      expect(values.every(Number.isFinite) && values.some(v => v !== 0), path).toBe(true)
    }
  })
})

describe('new parameters', () => {
  it('have the declared shapes and spreads', async () => {
    const tree = new Map(leavesWithPaths<Tensor>(params()))
    expect(tree.size).toBe(specs.length)
    for (const { path, shape, init } of specs) {
      const x = tree.get(path)!
      expect(x.shape).toEqual(shape)
      const values = await x.numbers()
      const rms = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length)
      const expected =
        init.kind === 'ones'
          ? 1
          : init.kind === 'zeros'
            ? 0
            : init.kind === 'normal'
              ? init.stddev
              : init.kind === 'uniform'
                ? init.limit / Math.sqrt(3)
                : init.stddev * 0.87962566103423978
      // Five standard errors of the standard deviation of this many draws.
      if (init.kind === 'ones') expect(values.every(v => v === 1)).toBe(true)
      else expect(Math.abs(rms / expected - 1), path).toBeLessThan(5 / Math.sqrt(2 * values.length))
    }
  })

  it('are equal for equal keys', async () => {
    const embedding = (seed: number): Promise<number[]> =>
      (init(random.key(seed)).token_embedder!.embedding as Tensor).numbers()
    expect(await embedding(1)).toEqual(await embedding(1))
    expect(await embedding(1)).not.toEqual(await embedding(2))
  })
})

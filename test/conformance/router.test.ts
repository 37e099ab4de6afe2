import { describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { grad } from '../../src/engine/api/transforms.js'
import type { ModelConfig } from '../../src/model/config.js'
import { forward } from '../../src/model/forward.js'
import { initParameters } from '../../src/model/init.js'
import { lossFunction } from '../../src/model/loss.js'
import type { LossOptions } from '../../src/model/loss.js'
import { declareParameters } from '../../src/model/parameters.js'
import { preset } from '../../src/model/presets.js'
import type { Batch, ModelParams } from '../../src/model/types.js'
import type { Router } from '../../src/nn/moe/router.js'
import type { MoeParams } from '../../src/nn/moe/layer.js'
import { expertsChoose } from '../../src/nn/moe/routers/experts-choose.js'
import { hashTokens } from '../../src/nn/moe/routers/hash.js'
import { randomTokens } from '../../src/nn/moe/routers/random.js'
import { routers } from '../../src/nn/moe/routers/routers.js'
import { softMixture } from '../../src/nn/moe/routers/soft.js'
import { tokensChoose, tokensChooseTop1 } from '../../src/nn/moe/routers/tokens-choose.js'
import { adamW } from '../../src/train/optimizers/adamw.js'
import { makeTrainStep } from '../../src/train/step.js'
import type { TrainArrays } from '../../src/train/step.js'
import { describeRouter } from './router.js'

describeRouter('tokens choose top 1', tokensChooseTop1)
describeRouter('tokens choose top 2', tokensChoose({ selectedExperts: 2 }))
describeRouter('tokens choose top 2, batch-prioritized', tokensChoose({ selectedExperts: 2, batchPrioritized: true }))
describeRouter('tokens choose as many experts as there are', tokensChoose({ selectedExperts: 9 }))
describeRouter('experts choose', expertsChoose)
describeRouter('hash', hashTokens, { gate: 1 })
describeRouter('random', randomTokens, { gate: 1 })
describeRouter('random, in evaluation', randomTokens, { gate: 1, key: false })
describeRouter('soft', softMixture)

/** A caller's own router: a token's index in its group decides its expert. */
const positionRouter: Router = {
  name: 'position',
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const expert = np.broadcastTo(np.remainder(np.arange(tokens), experts), [groups, tokens]) // [groups, tokens]
    const byPosition = np.oneHot(expert, experts) // [groups, tokens, experts]
    const choice = mask ? np.where(np.expandDims(mask, 2), byPosition, 0) : byPosition // [groups, tokens, experts]
    const rank = np.sum(np.multiply(np.cumsum(choice, 1), choice), { axis: 2 }) // [groups, tokens]
    const position = np.expandDims(np.astype(np.subtract(rank, 1), 'int32'), 2) // [groups, tokens, 1]
    const kept = np.logicalAnd(np.greaterEqual(position, 0), np.less(position, capacity ?? Infinity)) // [groups, tokens, 1]
    const gate = np.where(kept, np.sum(np.multiply(probabilities, choice), { axis: 2, keepdims: true }), 0) // [groups, tokens, 1]
    return { expert: np.expandDims(expert, 2), position, kept, gate, choice }
  },
}

describeRouter("a caller's own", positionRouter)

/** A small Switch Transformer, in which routers are tried. */
const { model, router } = preset('switch-base-8')
const config: ModelConfig = {
  ...model,
  vocabSize: 20,
  dModel: 8,
  dFf: 12,
  numHeads: 2,
  headDim: 4,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  numExperts: 3,
  dtype: 'float32',
}
const specs = declareParameters(config, router)

describe("a caller's router in a model", () => {
  const options: LossOptions = { config, router, mode: 'train', customRouter: positionRouter }
  const newParameters = (): ModelParams => initParameters(specs, random.key(0))
  const ids = (...row: number[]): Tensor => np.array([row], 'int32')
  const batch = (): Batch => ({
    encoder_input_tokens: ids(5, 6, 7, 8, 9, 1),
    decoder_input_tokens: ids(0, 5, 5, 5, 6),
    decoder_target_tokens: ids(5, 5, 5, 6, 1),
    decoder_loss_weights: np.ones([1, 5]),
  })

  it('decides the experts in forward', async () => {
    const { routers } = jit((p: ModelParams, b: Batch) => {
      const { routers } = forward(p, b, options)
      return { routers: routers.map(r => r.record.expert) }
    })(newParameters(), batch())
    expect(await Promise.all(routers.map(x => x.numbers()))).toEqual([
      [0, 1, 2, 0, 1, 2],
      [0, 1, 2, 0, 1],
    ])
  })

  it('affects the loss', async () => {
    const [, metrics] = lossFunction(newParameters(), batch(), options)
    expect(await metrics['expertLoad/encoder/layers_1'].numbers()).toEqual([2 / 6, 2 / 6, 2 / 6].map(Math.fround))
    const [loss, ours] = [options, { ...options, customRouter: undefined }].map(
      o => lossFunction(newParameters(), batch(), o)[0],
    )
    expect(await loss.item()).not.toBe(await ours.item())
  })

  it('trains: the loss falls, and all experts that it names learn', async () => {
    const optimizer = adamW()
    const step = makeTrainStep<Batch>((p, b) => lossFunction(p as ModelParams, b, options), optimizer, null)
    const params = newParameters()
    const before = leavesWithPaths<Tensor>(newParameters())
    let arrays: TrainArrays = { params, optimizer: optimizer.init(params) }
    const losses: number[] = []
    for (let i = 0; i < 20; i++) {
      const result = step(arrays, {
        batch: batch(),
        key: random.key(0),
        step: np.array(i, 'int32'),
        learningRate: np.array(0.01),
      })
      arrays = result.arrays
      losses.push(await result.metrics.loss.item())
    }
    expect(losses.at(-1)).toBeLessThan(losses[0] / 2)
    const path = 'decoder/layers_1/mlp/expert/wo/kernel'
    const [old, learned] = [before, leavesWithPaths<Tensor>(arrays.params)].map(leaves => new Map(leaves).get(path)!)
    const moved = np.max(np.abs(np.subtract(old, learned)), { axis: [1, 2] }) // [experts]
    expect((await moved.numbers()).every(m => m > 0.01)).toBe(true)
  })
})

describe('every built-in router in a model', () => {
  const rows = (...values: number[][]): Tensor => np.array(values, 'int32')
  /** Two sequences; the second is shorter. `padding`: how many positions of padding follow. */
  const batchOf = (sequences: number[][], padding: number): Batch => {
    const length = Math.max(...sequences.map(s => s.length)) + padding
    const filled = sequences.map(s => [...s, ...new Array<number>(length - s.length).fill(0)])
    const targets = rows(...filled)
    return {
      encoder_input_tokens: targets,
      decoder_input_tokens: rows(...filled.map(s => [0, ...s.slice(0, -1)])),
      decoder_target_tokens: targets,
      decoder_loss_weights: np.astype(np.greater(targets, 0), 'float32'),
    }
  }
  const kinds = Object.keys(routers) as (keyof typeof routers)[]

  it.each(kinds)('%s: an answer depends neither on its batch nor on padding', async kind => {
    const options: LossOptions = {
      config,
      router: { ...router, kind, decoderKind: kind === 'expertsChoose' ? 'tokensChoose' : null, selectedExperts: 2 },
      mode: 'eval',
    }
    const params = initParameters(specs, random.key(0))
    const logits = async (batch: Batch): Promise<number[]> => {
      const all = jit((p: ModelParams, b: Batch) => forward(p, b, options).logits)(params, batch)
      return all.get(0, np.slice(0, 4)).numbers()
    }
    const alone = await logits(batchOf([[5, 6, 7, 1]], 0))
    const together = await logits(
      batchOf(
        [
          [5, 6, 7, 1],
          [9, 3, 3, 3, 3, 8, 1],
        ],
        2,
      ),
    )
    together.forEach((x, i) => expect(x).toBeCloseTo(alone[i], 5))
  })

  it.each(kinds)('%s: has gradients in its experts, with a capacity and without', async kind => {
    for (const trainCapacityFactor of [1.25, null]) {
      const options: LossOptions = {
        config,
        router: { ...router, kind, decoderKind: kind === 'expertsChoose' ? 'soft' : null, trainCapacityFactor },
        mode: 'train',
        key: random.key(1),
      }
      const gradients = jit(grad((p: ModelParams, b: Batch) => lossFunction(p, b, options)[0]))(
        initParameters(specs, random.key(0)),
        batchOf(
          [
            [5, 6, 7, 8, 9, 1],
            [4, 3, 1],
          ],
          0,
        ),
      )
      for (const stack of ['encoder', 'decoder'] as const) {
        const { mlp } = gradients[stack].layers_1
        expect(await np.max(np.abs((mlp as MoeParams).expert.wo.kernel as Tensor)).item()).toBeGreaterThan(0)
      }
    }
  })

  it('refuses experts of the decoder that choose tokens', () => {
    const options: LossOptions = { config, router: { ...router, kind: 'expertsChoose' }, mode: 'eval' }
    expect(() => forward(initParameters(specs, random.key(0)), batchOf([[5, 1]], 0), options)).toThrow(
      'set router.decoderKind to another router, such as tokensChoose',
    )
  })
})

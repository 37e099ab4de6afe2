import { describe, expect, it } from 'vitest'
import { leavesWithPaths } from '../../src/base/pytree.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import type { ModelConfig } from '../../src/model/config.js'
import { forward } from '../../src/model/forward.js'
import { initParameters } from '../../src/model/init.js'
import { lossFunction } from '../../src/model/loss.js'
import type { LossOptions } from '../../src/model/loss.js'
import { declareParameters } from '../../src/model/parameters.js'
import { preset } from '../../src/model/presets.js'
import type { Batch, ModelParams } from '../../src/model/types.js'
import { tokensChooseTop1 } from '../../src/nn/moe/router.js'
import type { Router } from '../../src/nn/moe/router.js'
import { adamW } from '../../src/train/optimizers/adamw.js'
import { makeTrainStep } from '../../src/train/step.js'
import type { TrainArrays } from '../../src/train/step.js'
import { describeRouter } from './router.js'

describeRouter('tokens choose top 1', tokensChooseTop1)

// Two more kinds of routers, to test the interface: tokens with two choices, and experts that choose tokens.

const below = (position: Tensor, capacity: number | null): Tensor =>
  np.logicalAnd(np.greaterEqual(position, 0), np.less(position, capacity ?? Infinity))

/** Second choices get the capacity that all first choices leave. */
const tokensChooseTop2: Router = {
  name: 'tokensChooseTop2',
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const [gates, expert] = np.topK(probabilities, 2) // [groups, tokens, 2]
    const both = np.oneHot(expert, experts, { dtype: 'int32' }) // [groups, tokens, 2, experts]
    const chosen = mask ? np.where(np.reshape(mask, [groups, tokens, 1, 1]), both, 0) : both // [groups, tokens, 2, experts]
    const inOrder = np.reshape(np.swapaxes(chosen, 1, 2), [groups, 2 * tokens, experts]) // [groups, 2 * tokens, experts]
    const rank = np.subtract(np.sum(np.multiply(np.cumsum(inOrder, 1), inOrder), { axis: 2 }), 1) // [groups, 2 * tokens]
    const position = np.swapaxes(np.reshape(rank, [groups, 2, tokens]), 1, 2) // [groups, tokens, 2]
    const kept = below(position, capacity) // [groups, tokens, 2]
    return {
      expert,
      position,
      kept,
      gate: np.where(kept, gates, 0),
      choice: np.astype(np.sum(chosen, { axis: 2 }), 'float32'),
    }
  },
}

/** Each expert takes the tokens that it is most probable for. */
const expertsChoose: Router = {
  name: 'expertsChoose',
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const scores = mask ? np.where(np.expandDims(mask, 2), probabilities, -1) : probabilities // [groups, tokens, experts]
    const order = np.argsort(np.negative(scores), 1) // [groups, tokens, experts]
    const position = np.where(np.greaterEqual(scores, 0), np.argsort(order, 1), -1) // [groups, tokens, experts]
    const kept = below(position, capacity) // [groups, tokens, experts]
    const expert = np.broadcastTo(np.arange(experts), [groups, tokens, experts])
    return { expert, position, kept, gate: np.where(kept, probabilities, 0), choice: np.astype(kept, 'float32') }
  },
}

describeRouter('tokens choose top 2', tokensChooseTop2)
describeRouter('experts choose', expertsChoose)

/** A hash router: a token's index in its group decides its expert (as in Roller et al. 2021, but for the hash). */
const hashRouter: Router = {
  name: 'hash',
  assign({ probabilities }, mask, capacity) {
    const [groups, tokens, experts] = probabilities.shape
    const expert = np.broadcastTo(np.remainder(np.arange(tokens), experts), [groups, tokens]) // [groups, tokens]
    const hashed = np.oneHot(expert, experts) // [groups, tokens, experts]
    const choice = mask ? np.where(np.expandDims(mask, 2), hashed, 0) : hashed // [groups, tokens, experts]
    const rank = np.sum(np.multiply(np.cumsum(choice, 1), choice), { axis: 2 }) // [groups, tokens]
    const position = np.expandDims(np.astype(np.subtract(rank, 1), 'int32'), 2) // [groups, tokens, 1]
    const kept = below(position, capacity) // [groups, tokens, 1]
    const gate = np.where(kept, np.sum(np.multiply(probabilities, choice), { axis: 2, keepdims: true }), 0) // [groups, tokens, 1]
    return { expert: np.expandDims(expert, 2), position, kept, gate, choice }
  },
}

describeRouter('hash of the position', hashRouter)

describe("a caller's router in a model", () => {
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
  const options: LossOptions = { config, router, mode: 'train', customRouter: hashRouter }
  const specs = declareParameters(config, router)
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

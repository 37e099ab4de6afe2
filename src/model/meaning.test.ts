import { beforeAll, describe, expect, it } from 'vitest'
import { setBackend } from '../engine/api/engine.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import { referenceBackend } from '../engine/compile/reference/backend.js'
import { initParameters } from './init.js'
import { lossFunction } from './loss.js'
import type { LossOptions } from './loss.js'
import { meanings } from './meaning.js'
import type { Meaning, Reference } from './meaning.js'
import { declareParameters } from './parameters.js'
import { preset } from './presets.js'
import type { Batch } from './types.js'

const base = preset('switch-base-8')
const config = {
  ...base.model,
  vocabSize: 20,
  dModel: 8,
  dFf: 12,
  numHeads: 2,
  headDim: 4,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  numExperts: 2,
  dtype: 'float32',
  initScale: 2,
} as const
const router = { ...base.router, minExpertCapacity: 1, zLossFactor: 1, ignorePaddingTokens: false }
const params = initParameters(declareParameters(config, router), random.key(0))
const batch: Batch = {
  encoder_input_tokens: np.array([
    [7, 12, 3, 4, 1],
    [9, 11, 1, 0, 0],
  ]),
  decoder_input_tokens: np.array([
    [0, 5, 13, 8],
    [0, 14, 2, 0],
  ]),
  decoder_target_tokens: np.array([
    [5, 13, 8, 1],
    [14, 2, 1, 0],
  ]),
  decoder_loss_weights: np.array([
    [1, 1, 1, 1],
    [1, 1, 1, 0],
  ]),
}
for (const key of ['encoder_input_tokens', 'decoder_input_tokens', 'decoder_target_tokens'] as const)
  batch[key] = np.astype(batch[key], 'int32')

// To compile a program takes longer than to interpret it for so small a model.
beforeAll(() => setBackend(referenceBackend))

async function metricsOf(options: Partial<LossOptions> & { reference?: Reference }): Promise<Record<string, number>> {
  const { reference = 'switchyard', ...others } = options
  const loss = jit((weights: typeof params) => {
    const [, metrics] = lossFunction(weights, batch, {
      config: { ...config, reference },
      router,
      mode: 'eval',
      ...others,
    })
    return metrics
  })
  const metrics = loss(params)
  const scalars = Object.entries(metrics).filter(([, x]) => x.ndim === 0)
  return Object.fromEntries(await Promise.all(scalars.map(async ([name, x]) => [name, await x.item()] as const)))
}

describe('a meaning', () => {
  it('is found by its name in the configuration', async () => {
    const names = Object.keys(meanings) as Reference[]
    const losses = new Set<number>()
    for (const reference of names) {
      const named = await metricsOf({ reference })
      expect(await metricsOf({ meaning: meanings[reference] }), reference).toEqual(named)
      losses.add(named.loss)
    }
    expect(losses.size).toBe(names.length)
  })

  it('can be supplied by a caller, and each of its fields has an effect', async () => {
    const { switchyard } = meanings
    const usual = await metricsOf({ meaning: switchyard })
    const changes: [Partial<Meaning>, metric: string][] = [
      [{ encoderTokens: () => null }, 'auxLoss'],
      [{ decoderTokens: () => null }, 'auxLoss'],
      [{ neverRoutesPadding: false }, 'auxLoss'],
      [{ countsUnroutedTokens: true }, 'auxLoss'],
      [{ droplessEvaluation: false }, 'expertUsage'],
      [{ zLossFactor: 1 }, 'zLoss'],
      [{ routerLosses: () => ({ auxLoss: np.array(0), zLoss: np.array(7) }) }, 'routerZLoss'],
    ]
    for (const [change, metric] of changes) {
      const changed = await metricsOf({ meaning: { ...switchyard, ...change } })
      expect(changed[metric], Object.keys(change).join()).not.toBeCloseTo(usual[metric], 6)
    }
    const fixed = { ...switchyard, droplessEvaluation: false }
    const small = { ...fixed, tokenGroups: meanings.hf.tokenGroups }
    expect((await metricsOf({ meaning: small })).auxLoss).not.toBeCloseTo(
      (await metricsOf({ meaning: fixed })).auxLoss,
      6,
    )
  })

  it('decides what padding attends to, which affects the loss only if padding is routed', async () => {
    for (const change of [
      { hidesKeysFromPadding: false },
      { hidesPaddingFromDecoder: false },
      { zeroesPadding: false },
    ]) {
      const [usual, changed] = [meanings.t5x, { ...meanings.t5x, ...change }].map(meaning => metricsOf({ meaning }))
      expect((await changed).crossEntropy).toBeCloseTo((await usual).crossEntropy, 5)
    }
    const unzeroed = await metricsOf({ meaning: { ...meanings.t5x, zeroesPadding: false } })
    expect(unzeroed.routerZLoss).not.toBeCloseTo((await metricsOf({ meaning: meanings.t5x })).routerZLoss, 6)
  })

  it('jitters the inputs of experts or of the router alone', async () => {
    const noisy = { mode: 'train', key: random.key(1), router: { ...router, jitterNoise: 0.5 } } as const
    const [alone, both] = await Promise.all(
      [false, true].map(jittersExperts => metricsOf({ ...noisy, meaning: { ...meanings.switchyard, jittersExperts } })),
    )
    expect(both.crossEntropy).not.toBeCloseTo(alone.crossEntropy, 6)
  })
})

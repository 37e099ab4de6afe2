import { recipes } from '../../config/recipes.js'
import { optimizerSchema } from '../../config/schema.js'
import type { TrainConfig } from '../config.js'
import { checkOptimizerState } from './optimizer-state.js'
import { describe, expect, it } from 'vitest'
import { baseModel, baseRouter } from '../../model/presets.js'
import { declareParameters } from '../../model/parameters.js'
import type { ModelConfig } from '../../model/config.js'
import { parseRule } from './origin.js'
import { planRestore } from './plan.js'

const tiny: ModelConfig = {
  ...baseModel,
  vocabSize: 32,
  dModel: 8,
  dFf: 16,
  numHeads: 2,
  headDim: 4,
  numEncoderLayers: 2,
  numDecoderLayers: 2,
  encoderSparseLayers: [1],
  decoderSparseLayers: [1],
  numExperts: 2,
}
const specs = (changes: Partial<ModelConfig> = {}) => declareParameters({ ...tiny, ...changes }, baseRouter)
const weights = { path: 'runs/base', specs: specs() }
const plan = (changes: Partial<ModelConfig>, ...rules: string[]) =>
  planRestore(
    specs(changes),
    weights,
    rules.map(rule => parseRule(rule)!),
  )

describe('planRestore', () => {
  it('restores every parameter from the one of the same path', () => {
    const { sources, initialised, unused } = plan({})
    expect([...sources]).toEqual(weights.specs.map(({ path }) => [path, path]))
    expect([initialised, unused]).toEqual([[], []])
  })

  it('initialises what a rule skips, and says which weights are not used', () => {
    const { sources, initialised, unused } = plan({}, 'router=skip')
    expect(initialised).toEqual([
      'encoder/layers_1/mlp/router/router_weights/w/kernel',
      'decoder/layers_1/mlp/router/router_weights/w/kernel',
    ])
    expect(unused).toEqual(initialised)
    expect(sources.size).toBe(weights.specs.length - 2)
  })

  it('restores from other names, with the texts of the wildcards; the last rule that matches decides', () => {
    const { sources } = plan(
      { numDecoderLayers: 4, decoderSparseLayers: [1, 3] },
      'decoder/layers_2=decoder/layers_0',
      'decoder/layers_3=decoder/layers_1',
    )
    expect(sources.get('decoder/layers_3/mlp/expert/wi/kernel')).toBe('decoder/layers_1/mlp/expert/wi/kernel')
    const copied = plan(
      {},
      'decoder/layers_*/encoder_decoder_attention/*=decoder/layers_*/self_attention/*',
      'decoder/layers_1/encoder_decoder_attention/query=skip',
    )
    expect(copied.sources.get('decoder/layers_0/encoder_decoder_attention/key/kernel')).toBe(
      'decoder/layers_0/self_attention/key/kernel',
    )
    expect(copied.initialised).toEqual(['decoder/layers_1/encoder_decoder_attention/query/kernel'])
  })

  it.each<[string, Partial<ModelConfig>, string, string]>([
    [
      'another shape',
      { vocabSize: 40 },
      'token_embedder/embedding [40,8] is [32,8] there',
      'To initialise it instead: set from.rules=token_embedder=skip;',
    ],
    [
      'missing layers',
      { numDecoderLayers: 4, decoderSparseLayers: [1, 3] },
      'decoder/layers_2/pre_self_attention_layer_norm/scale [8] is not there',
      'and 22 more\nTo initialise them instead: set from.rules=decoder/layers_2=skip,decoder/layers_3=skip;',
    ],
    [
      'another number of experts',
      { numExperts: 4 },
      'encoder/layers_1/mlp/router/router_weights/w/kernel [8,4] is [8,2] there',
      'set from.rules=encoder/layers_1/mlp=skip,decoder/layers_1/mlp=skip;',
    ],
  ])('%s: names the parameter and both shapes, and proposes rules that work', (_, changes, named, proposed) => {
    let message = ''
    try {
      plan(changes)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain(named)
    expect(message).toContain(proposed)
    const rules = /from\.rules=(\S+);/.exec(message)![1].split(',')
    expect(plan(changes, ...rules).initialised.length).toBeGreaterThan(0)
  })

  it('proposes one pattern with wildcards for all layers', () => {
    expect(() => plan({ relativePositionBias: 'perLayer' })).toThrow(
      'set from.rules=encoder/layers_*/relpos_bias=skip,decoder/layers_*/relpos_bias=skip;',
    )
  })

  it('refuses a rule that matches nothing, and names a source that is not there', () => {
    expect(() => plan({}, 'ruter=skip')).toThrow(
      'from.rules: the pattern "ruter" matches no parameter of this model; did you mean router?',
    )
    expect(() => plan({}, 'decoder/layers_1=decoder/layers_7')).toThrow(
      'decoder/layers_1/self_attention/key/kernel [8,8] (restored from decoder/layers_7/self_attention/key/kernel) is not there',
    )
  })
})

describe('the state of an optimizer that is restored', () => {
  const { train } = recipes.g2p
  const from = { path: 'runs/a', container: 'native', step: 4, optimizer: 'restored' as const, rules: [] }
  const check = (now: Partial<TrainConfig>, before: Partial<TrainConfig>): void =>
    checkOptimizerState({ train: { ...train, ...now }, from }, { ...recipes.g2p, train: { ...train, ...before } })
  const lora = { rank: 2, alpha: 4, targets: ['query'] }

  it('must have the form that the settings give it', () => {
    check({}, {})
    check({ averageDecay: 0.9 }, { averageDecay: 0.99 })
    expect(() => check({ averageDecay: 0.9 }, {})).toThrow(
      'from.optimizer=restored cannot be used here: train.averageDecay=0.9 needs an average of the parameters, which the run did not keep',
    )
    expect(() => check({}, { averageDecay: 0.9 })).toThrow('add train.averageDecay=0.9, or leave out')
    expect(() => check({ lora }, {})).toThrow('the adapters of train.lora.rank=2 are new')
    expect(() => check({}, { lora })).toThrow('the run trained adapters (train.lora.rank=2), which are merged now')
    expect(() => check({ freeze: ['router'] }, {})).toThrow('this one has train.freeze=router: set the same')
    const adafactor = optimizerSchema.parse({ kind: 'adafactor' })
    expect(() => check({ optimizer: adafactor }, {})).toThrow('that of adamW, and train.optimizer.kind is adafactor')
    const fresh = { ...from, optimizer: 'fresh' as const }
    checkOptimizerState({ train: { ...train, lora }, from: fresh }, recipes.g2p)
  })
})

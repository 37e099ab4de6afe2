import { ConfigError } from '../base/errors.js'
import { didYouMean } from '../base/suggest.js'
import type { ModelConfig, RouterConfig } from './config.js'
import { everyNthLayer } from './sparse-layers.js'

export interface Preset {
  model: ModelConfig
  router: RouterConfig
}

/** The settings that all presets share, from Flaxformer's and T5X's published configurations of T5. */
export const baseModel: Omit<ModelConfig, 'dModel' | 'dFf' | 'numHeads' | 'numEncoderLayers' | 'numDecoderLayers'> = {
  vocabSize: 32128,
  headDim: 64,
  encoderSparseLayers: [],
  decoderSparseLayers: [],
  numExperts: 0,
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
  dtype: 'bfloat16',
  reference: 'switchyard',
}

/** The router of Flaxformer's Switch models. */
export const baseRouter: RouterConfig = {
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
  ignorePaddingTokens: true,
}

/** dModel, dFf, numHeads, encoder layers, decoder layers. */
type Size = readonly [number, number, number, number, number]

const sized = ([dModel, dFf, numHeads, numEncoderLayers, numDecoderLayers]: Size) => ({
  dModel,
  dFf,
  numHeads,
  numEncoderLayers,
  numDecoderLayers,
})

const dense = (size: Size, overrides: Partial<ModelConfig> = {}): Preset => ({
  model: { ...baseModel, ...sized(size), ...overrides },
  router: baseRouter,
})

/** The changes of T5 1.1: gated GELU, and an output projection that is not the embedding. */
const gated = { activation: 'geluTanh', gatedActivation: true, tiedLogits: false, scaleLogits: false } as const

const sparse = (
  size: Size,
  numExperts: number,
  every: number,
  overrides: Partial<ModelConfig>,
  router: Partial<RouterConfig>,
): Preset => ({
  model: {
    ...baseModel,
    ...sized(size),
    numExperts,
    encoderSparseLayers: everyNthLayer(size[3], every),
    decoderSparseLayers: everyNthLayer(size[4], every),
    initScale: 0.1,
    ...overrides,
  },
  router: { ...baseRouter, ...router },
})

const t5v1_1: Record<string, Size> = {
  small: [512, 1024, 6, 8, 8],
  base: [768, 2048, 12, 12, 12],
  large: [1024, 2816, 16, 24, 24],
  xl: [2048, 5120, 32, 24, 24],
  xxl: [4096, 10240, 64, 24, 24],
}

const byt5: Record<string, Size> = {
  small: [1472, 3584, 6, 12, 4],
  base: [1536, 3968, 12, 18, 6],
  large: [1536, 3840, 16, 36, 12],
  xl: [2560, 6720, 32, 36, 12],
  xxl: [4672, 12352, 64, 36, 12],
}

const family = (prefix: string, sizes: Record<string, Size>, overrides: Partial<ModelConfig>): [string, Preset][] =>
  Object.entries(sizes).map(([name, size]) => [`${prefix}-${name}`, dense(size, overrides)])

/** The published models by name. */
export const presets: ReadonlyMap<string, Preset> = new Map<string, Preset>([
  ...[8, 16, 32, 64, 128, 256].map((experts): [string, Preset] => [
    `switch-base-${experts}`,
    sparse([768, 3072, 12, 12, 12], experts, 2, {}, {}),
  ]),
  ['switch-large-128', sparse([1024, 4096, 16, 24, 24], 128, 2, {}, { maxGroupSize: 4096 })],
  [
    'switch-xxl-128',
    sparse([4096, 10240, 64, 24, 24], 128, 2, gated, {
      maxGroupSize: 4096,
      evalCapacityFactor: 4,
      minExpertCapacity: 2,
    }),
  ],
  [
    'switch-c-2048',
    sparse(
      [2080, 6144, 30, 15, 15],
      2048,
      1,
      { tiedLogits: false, scaleLogits: false },
      { maxGroupSize: 2048, trainCapacityFactor: 1, minExpertCapacity: 2 },
    ),
  ],
  ['t5-1.0-small', dense([512, 2048, 8, 6, 6])],
  ['t5-1.0-base', dense([768, 3072, 12, 12, 12])],
  ['t5-1.0-large', dense([1024, 4096, 16, 24, 24])],
  ...family('t5-1.1', t5v1_1, gated),
  ...family('byt5', byt5, { ...gated, vocabSize: 384 }),
  ...family('mt5', t5v1_1, { ...gated, vocabSize: 250_112 }),
])

/** A preset by name. Throws a ConfigError that names the nearest one. */
export function preset(name: string): Preset {
  const found = presets.get(name)
  if (found) return found
  const names = [...presets.keys()]
  throw new ConfigError(`there is no preset ${JSON.stringify(name)}; ${didYouMean(name, names)}`)
}

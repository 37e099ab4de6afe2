import type { RouterKind } from '../nn/moe/router.js'
import type { Reference } from './meaning.js'

/** The sizes and fixed choices of an encoder-decoder. All sizes count elements. */
export interface ModelConfig {
  vocabSize: number
  dModel: number
  dFf: number
  numHeads: number
  headDim: number
  numEncoderLayers: number
  numDecoderLayers: number
  /** Layer i of a stack is sparse when i % sparseEvery === sparseEvery - 1; 0: none is, the model is dense. */
  encoderSparseEvery: number
  decoderSparseEvery: number
  numExperts: number
  /** `relu`: wi, relu, wo. `gatedGelu`: gelu(wi_0) * wi_1, wo. */
  activation: 'relu' | 'gatedGelu'
  /** Whether the output projection is the token embedding. */
  tiedLogits: boolean
  /** Whether the decoder's output is scaled by 1/sqrt(dModel) before the output projection. */
  scaleLogits: boolean
  /** Whether a stack's layers share one table of relative position biases, or each has its own, as in Flaxformer's scanned models. */
  relativePositionBias: 'perStack' | 'perLayer'
  relativePositionBuckets: number
  relativePositionMaxDistance: number
  layerNormEpsilon: number
  /** Dropped share of activations in training; masks are broadcast over the length axis. */
  dropoutRate: number
  /** Variance of new kernels, times fan-in. Switch Transformers, section 2.4: 0.1, a tenth of T5's, trains more stably. */
  initScale: number
  /** What activations and weights are computed in; the router, logits and losses are float32 whatever this says. */
  dtype: 'float32' | 'bfloat16'
  /** The name of the meaning that the model follows: see meaning.ts. */
  reference: Reference
}

/** How tokens find experts. */
export interface RouterConfig {
  /** The name of the router: see nn/moe/router.ts. */
  kind: RouterKind
  /** The name of a router that a program supplied, which is used instead of `kind`: see `ForwardOptions.customRouter`. */
  custom?: string
  /** Tokens are routed in groups of at most this many. */
  maxGroupSize: number
  /** An expert takes at most factor * tokensPerGroup / numExperts tokens of a group. */
  trainCapacityFactor: number
  evalCapacityFactor: number
  minExpertCapacity: number
  /** A fixed number of slots an expert and group, instead of the factors (what HF does), or null. */
  expertCapacity: number | null
  /** Whether the router has a bias (some HF configurations). */
  bias: boolean
  /** Router inputs are multiplied by uniform noise in [1 - jitter, 1 + jitter] in training. */
  jitterNoise: number
  /** Dropped share of an expert's hidden activations in training; one mask an expert, the same for all of its tokens. */
  expertDropoutRate: number
  auxLossFactor: number
  zLossFactor: number
  /** Leave padding out of routing, losses and statistics. The meaning `switchyard` always does. */
  ignorePaddingTokens: boolean
}

export type StackName = 'encoder' | 'decoder'

/** Whether layer `index` of a stack has experts. */
export const isSparseLayer = (index: number, sparseEvery: number): boolean =>
  sparseEvery > 0 && index % sparseEvery === sparseEvery - 1

/** A stack's number of layers and which of them are sparse. */
export function stackLayers(config: ModelConfig, stack: StackName): { sparse: boolean }[] {
  const [count, every] =
    stack === 'encoder'
      ? [config.numEncoderLayers, config.encoderSparseEvery]
      : [config.numDecoderLayers, config.decoderSparseEvery]
  return Array.from({ length: count }, (_, i) => ({ sparse: isSparseLayer(i, every) }))
}

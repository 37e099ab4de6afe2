import { T5_SPECIAL_IDS } from '../base/special-ids.js'
import type { SpecialIds } from '../base/special-ids.js'
import type { Activation } from '../nn/mlp.js'
import type { RouterKind } from '../nn/moe/routers/routers.js'
import type { GenerationDefaults } from './generation-defaults.js'
import type { Reference } from './meaning.js'

/** The sizes and fixed choices of an encoder-decoder, or of an encoder alone. All sizes count elements. */
export interface ModelConfig {
  vocabSize: number
  dModel: number
  dFf: number
  numHeads: number
  headDim: number
  numEncoderLayers: number
  /** 0: the model is an encoder alone, and has no parameters of a decoder and no head. */
  numDecoderLayers: number
  /** The layers of a stack that are sparse, counted from 0, each once. An empty list: none. */
  encoderSparseLayers: readonly number[]
  decoderSparseLayers: readonly number[]
  numExperts: number
  /** The activation f of feed-forward networks and experts. `gelu` is exact, `geluTanh` its tanh approximation. */
  activation: Activation
  /** Whether their hidden layer is f(x wi_0) * x wi_1 (T5 1.1), instead of f(x wi) (T5 1.0). */
  gatedActivation: boolean
  /** Whether the stacks share one token embedding. Otherwise each has its own. */
  sharedEmbedding: boolean
  /** Whether the decoder's token embedding is also the output projection. */
  tiedLogits: boolean
  /** Whether the decoder's output is scaled by 1/sqrt(dModel) before the output projection. */
  scaleLogits: boolean
  /**
   * Whether a stack's layers share one relative position table, or each has its own, as in Flaxformer's scanned models.
   */
  relativePositionBias: 'perStack' | 'perLayer'
  /** At least 4. Half of the encoder's are for each direction; an odd one is not used there. */
  relativePositionBuckets: number
  relativePositionMaxDistance: number
  layerNormEpsilon: number
  /** Share of activations dropped in training. All positions of a sequence share a mask, as in Flaxformer. */
  dropoutRate: number
  /**
   * The variance of new kernels times their fan-in. 0.1, a tenth of T5's, trains more stably (Switch Transformers,
   * section 2.4).
   */
  initScale: number
  /** The dtype of activations, and of weights in matmuls. The router, logits and losses are always float32. */
  dtype: 'float32' | 'bfloat16'
  /** The name of the meaning that the model follows: see meaning.ts. */
  reference: Reference
  /** The name of a meaning that a program supplied, which is used instead: see `ForwardOptions.meaning`. */
  customMeaning?: string
  /** The ids of padding, EOS and the decoder's start. Undefined: T5's. */
  specialIds?: SpecialIds
  /** How it generates unless its user says otherwise. Undefined: greedily. */
  generation?: GenerationDefaults
}

/** The special ids of a model. */
export const specialIdsOf = ({ specialIds = T5_SPECIAL_IDS }: Pick<ModelConfig, 'specialIds'>): SpecialIds => specialIds

/** How tokens are routed to experts. */
export interface RouterConfig {
  /** The name of the router: see nn/moe/routers. */
  kind: RouterKind
  /**
   * The decoder's router; null: the same. Routers that compare tokens, such as `expertsChoose`, cannot serve a decoder.
   */
  decoderKind: RouterKind | null
  /** How many experts a token chooses (`tokensChoose`). */
  selectedExperts: number
  /**
   * Whether the encoder's most confident tokens take the experts' capacity first (`tokensChoose`). The decoder never
   * does that, because a token must not depend on later ones.
   */
  batchPrioritized: boolean
  /**
   * The name of a router that a program supplied, which is used instead of `kind`: see `ForwardOptions.customRouter`.
   */
  custom?: string
  /** Tokens are routed in groups of at most this many tokens. */
  maxGroupSize: number
  /**
   * An expert takes at most factor * tokensPerGroup / numExperts tokens of a group. null in training: every token that
   * chooses it.
   */
  trainCapacityFactor: number | null
  evalCapacityFactor: number
  minExpertCapacity: number
  /** A fixed capacity for each expert and group instead of the factors, as in HF; or null. */
  expertCapacity: number | null
  /** Whether the router has a bias, as in some HF configurations. */
  bias: boolean
  /** In training, router inputs are multiplied by uniform noise in [1 - jitterNoise, 1 + jitterNoise). */
  jitterNoise: number
  /** Share of an expert's hidden activations dropped in training. All tokens of an expert share a mask. */
  expertDropoutRate: number
  auxLossFactor: number
  zLossFactor: number
  /** Leave padding out of routing, losses and statistics. The meaning `switchyard` always does. */
  ignorePaddingTokens: boolean
}

export type StackName = 'encoder' | 'decoder'

/** The stacks of a model: an encoder alone has no decoder. */
export const stacksOf = ({ numDecoderLayers }: Pick<ModelConfig, 'numDecoderLayers'>): readonly StackName[] =>
  numDecoderLayers === 0 ? ['encoder'] : ['encoder', 'decoder']

/** The layers of a stack, and which of them are sparse. */
export function stackLayers(config: ModelConfig, stack: StackName): { sparse: boolean }[] {
  const [count, sparse] =
    stack === 'encoder'
      ? [config.numEncoderLayers, config.encoderSparseLayers]
      : [config.numDecoderLayers, config.decoderSparseLayers]
  return Array.from({ length: count }, (_, i) => ({ sparse: sparse.includes(i) }))
}

/** Whether any layer of a model has experts. */
export const hasSparseLayers = (config: ModelConfig): boolean =>
  stacksOf(config).some(stack => stackLayers(config, stack).some(({ sparse }) => sparse))

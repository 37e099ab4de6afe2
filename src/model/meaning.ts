import { missingValue } from '../base/custom.js'
import type { Tensor } from '../engine/api/tensor.js'
import { evenGroups, fewestGroups, sequenceGroups } from '../nn/moe/groups.js'
import type { TokenGroups } from '../nn/moe/groups.js'
import { flaxformerDecoderTokens } from './padding.js'
import { meanRouterLosses, sumOfStackLosses } from './router-losses.js'
import type { RouterLosses, StackRouters } from './router-losses.js'

/**
 * Everything in which implementations of T5 and Switch Transformers differ while they have the same parameters: which
 * positions are padding and what happens to them, how tokens are routed, and what the loss is. Differences that belong
 * to a checkpoint instead (activation, tied or scaled logits) are settings of `ModelConfig`.
 *
 * A `ModelConfig` names one of `meanings`. A caller of `forward` or `lossFunction` can pass another record as
 * `meaning`.
 */
export interface Meaning {
  /** Names it in checkpoints and messages. */
  readonly name: string

  // Attention

  /** `RelativePositions.epsilon`: it decides the bucket of distances at the edge of two. */
  readonly relativeDistanceEpsilon: number
  /** Whether queries at padding positions see no key. Real positions are not affected. */
  readonly hidesKeysFromPadding: boolean
  /**
   * Whether decoder self-attention hides padding keys in addition to later keys. Padding comes last, so real positions
   * are not affected.
   */
  readonly hidesPaddingFromDecoder: boolean

  // Padding

  /**
   * Which encoder positions count as tokens, from where the inputs are not padding [batch, length]. null: all
   * positions.
   */
  encoderTokens(inputs: Tensor): Tensor | null // [batch, length], bool
  /**
   * Which decoder positions count as tokens, from where the decoder's inputs and its targets are not padding [batch,
   * length]. null: all positions.
   */
  decoderTokens(inputs: Tensor, targets: Tensor): Tensor | null // [batch, length], bool
  /** Whether the output of every norm is set to 0 at padding positions. */
  readonly zeroesPadding: boolean

  // Routing

  /** Whether padding is never routed. If false, `RouterConfig.ignorePaddingTokens` decides. */
  readonly neverRoutesPadding: boolean
  /** Whether tokens that are not routed still count, as zeros, in the means of the router losses. */
  readonly countsUnroutedTokens: boolean
  /** The groups within which experts have a capacity, of a batch [batch, length]. */
  tokenGroups(batch: number, length: number, numExperts: number, maxGroupSize: number): TokenGroups
  /** Whether experts take every token in evaluation, so that an answer does not depend on the rest of its batch. */
  readonly droplessEvaluation: boolean
  /** Whether the router's jitter noise also reaches the experts' inputs. */
  readonly jittersExperts: boolean

  // Loss

  /** Default factor of the z-loss: the mean square of log(sum(exp(logits))). */
  readonly zLossFactor: number
  /** The model's router losses, before their factors, from the records of the encoder's and the decoder's routers. */
  routerLosses(stacks: readonly StackRouters[]): RouterLosses
}

/**
 * T5X with Flaxformer, which trained the released checkpoints. Sources are files of flaxformer/architectures unless
 * named.
 */
const t5x: Meaning = {
  name: 't5x',
  // components/relative_position_biases.py, _relative_position_bucket: np.finfo(np.float32).eps.
  relativeDistanceEpsilon: 2 ** -23,
  // t5/t5_architecture.py, EncoderDecoder: make_attention_mask(queries > 0, keys > 0) for all three attentions.
  hidesKeysFromPadding: true,
  // components/attention/dense_attention.py, make_decoder_mask: the causal mask and make_attention_mask(targets > 0).
  hidesPaddingFromDecoder: true,
  // t5/t5_architecture.py: the encoder's logit_mask is inputs > 0; get_decoder_logit_mask reads the decoder's inputs.
  encoderTokens: inputs => inputs,
  decoderTokens: flaxformerDecoderTokens,
  // t5/t5_architecture.py, EncoderLayer and DecoderLayer: x = logit_mask * x after each norm.
  zeroesPadding: true,
  // moe/routing.py: ignore_padding_tokens is a setting of the router.
  neverRoutesPadding: false,
  // moe/routing.py: the losses are means over all tokens of a group, whatever the padding mask.
  countsUnroutedTokens: true,
  // moe/moe_layers.py, _num_groups and _maybe_pad: at least as many groups as experts, one for each device.
  tokenGroups: evenGroups,
  // moe/moe_layers.py: evaluation drops tokens too, by eval_capacity_factor.
  droplessEvaluation: false,
  // moe/routing.py, _compute_router_probabilities: the noise is applied to the router's own copy.
  jittersExperts: false,
  // The gin configurations of the released models: z_loss = 0.0001.
  zLossFactor: 1e-4,
  // t5x/contrib/moe/models.py: means over all routers.
  routerLosses: meanRouterLosses,
}

/** Hugging Face transformers. Sources are in models/switch_transformers/modeling_switch_transformers.py. */
const hf: Meaning = {
  name: 'hf',
  // models/t5/modeling_t5.py, _relative_position_bucket.
  relativeDistanceEpsilon: 0,
  // The extended attention mask covers keys only, and the decoder has the causal mask alone.
  hidesKeysFromPadding: false,
  hidesPaddingFromDecoder: false,
  // Padding is computed and routed like any other token.
  encoderTokens: () => null,
  decoderTokens: () => null,
  zeroesPadding: false,
  neverRoutesPadding: false,
  countsUnroutedTokens: false,
  // SwitchTransformersTop1Router: the capacity counts tokens along one sequence.
  tokenGroups: sequenceGroups,
  droplessEvaluation: false,
  // SwitchTransformersTop1Router: hidden_states is multiplied in place, and the experts read it afterwards.
  jittersExperts: true,
  // SwitchTransformersForConditionalGeneration: cross entropy only, and the sum of the stacks' router losses.
  zLossFactor: 0,
  routerLosses: sumOfStackLosses,
}

/**
 * Our own: T5X's training with padding left out of routing, losses and statistics, and evaluation without dropped
 * tokens. Capacity groups are as large as allowed, since a larger group drops fewer tokens and there is one device.
 */
const switchyard: Meaning = {
  ...t5x,
  name: 'switchyard',
  // What padding positions see has no effect here: their outputs are never used.
  hidesKeysFromPadding: false,
  hidesPaddingFromDecoder: false,
  decoderTokens: (_inputs, targets) => targets,
  zeroesPadding: false,
  neverRoutesPadding: true,
  countsUnroutedTokens: false,
  tokenGroups: (batch, length, _numExperts, maxGroupSize) => fewestGroups(batch, length, maxGroupSize),
  droplessEvaluation: true,
}

/** The meanings that a configuration can name. A new one is added here; the configuration's schema reads the names. */
export const meanings = { switchyard, t5x, hf } satisfies Record<string, Meaning>

/** The name of a meaning. */
export type Reference = keyof typeof meanings

/**
 * The meaning that a caller passed, or the one that the configuration names. Throws a ConfigError if it names one that
 * a program supplied, and the caller passed none.
 */
export function meaningOf({
  meaning,
  config,
}: {
  meaning?: Meaning
  config: { reference: Reference; customMeaning?: string }
}): Meaning {
  if (meaning) return meaning
  if (config.customMeaning !== undefined) throw missingValue('meaning', config.customMeaning)
  return meanings[config.reference]
}

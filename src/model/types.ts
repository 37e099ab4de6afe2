import type { Tensor } from '../engine/api/tensor.js'
import type { AttentionParams } from '../nn/attention.js'
import type { DenseParams } from '../nn/dense.js'
import type { Embedding } from '../nn/embedding.js'
import type { MlpParams } from '../nn/mlp.js'
import type { MoeParams } from '../nn/moe/layer.js'
import type { Router } from '../nn/moe/router.js'
import type { RouterRecord } from '../nn/moe/types.js'
import type { NormParams } from '../nn/rms-norm.js'
import type { ModelConfig, RouterConfig, StackName } from './config.js'
import type { Meaning } from './meaning.js'

/** A model's parameters: T5X's tree. parameters.ts declares them. */
export type ModelParams = {
  token_embedder: { embedding: Embedding } // [vocab, dModel]
  encoder: EncoderParams
  decoder: DecoderParams
}
/** Relative position biases are the stack's or its layers'. */
export type EncoderParams = {
  [layer: `layers_${number}`]: EncoderLayerParams
  relpos_bias?: RelativeBiasParams
  encoder_norm: NormParams
}
export type DecoderParams = {
  [layer: `layers_${number}`]: DecoderLayerParams
  relpos_bias?: RelativeBiasParams
  decoder_norm: NormParams
  /** The output projection, where it is not the token embedding. */
  logits_dense?: DenseParams
}
export type RelativeBiasParams = { rel_embedding: Tensor } // [heads, buckets]
export type EncoderLayerParams = {
  pre_attention_layer_norm: NormParams
  relpos_bias?: RelativeBiasParams
  attention: AttentionParams
  pre_mlp_layer_norm: NormParams
  mlp: MlpParams | MoeParams
}
export type DecoderLayerParams = {
  pre_self_attention_layer_norm: NormParams
  relpos_bias?: RelativeBiasParams
  self_attention: AttentionParams
  pre_cross_attention_layer_norm: NormParams
  encoder_decoder_attention: AttentionParams
  pre_mlp_layer_norm: NormParams
  mlp: MlpParams | MoeParams
}

/** What the model is trained on, under T5X's names (data/features.ts makes it): [batch, length] each. */
export type Batch = {
  encoder_input_tokens: Tensor
  decoder_input_tokens: Tensor
  decoder_target_tokens: Tensor
  /** 1 where a target counts in the loss. */
  decoder_loss_weights: Tensor
  /** Which of a packed row's examples a token belongs to, from 1; 0 is padding. */
  encoder_segment_ids?: Tensor
  decoder_segment_ids?: Tensor
}

export interface ForwardOptions {
  config: ModelConfig
  router: RouterConfig
  /** A router to use instead of the one that `router.kind` names. The other settings of `router` still apply. */
  customRouter?: Router
  /** A meaning to follow instead of the one that `config.reference` names. */
  meaning?: Meaning
  /** `train`: dropout, jitter and the training capacity. */
  mode: 'train' | 'eval'
  /** Randomness for dropout and jitter: a key of random.ts. Needed in training where one of their rates is not 0. */
  key?: Tensor
}

/** What the router of one sparse layer did. */
export interface LayerRecord {
  stack: StackName
  layer: number
  record: RouterRecord
}

export interface ForwardOutput {
  logits: Tensor // [batch, decoder length, vocab], float32
  /** What a stack makes of its tokens, after its final norm. */
  encoderOutput: Tensor // [batch, encoder length, dModel]
  decoderOutput: Tensor // [batch, decoder length, dModel]
  /** The input of each layer of a stack, then the last one's output, before the final norm. */
  encoderStates: Tensor[]
  decoderStates: Tensor[]
  /** One for each sparse layer, encoder first. */
  routers: LayerRecord[]
}

/** Scalars (and `expertLoad/<stack>/layers_<i>`: [experts]) by name. */
export type Metrics = { [name: string]: Tensor }

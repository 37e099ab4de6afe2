import type { Tensor } from '../engine/api/tensor.js'
import type { AttentionParams } from '../nn/attention.js'
import type { Constrain } from '../nn/constrain.js'
import type { DeviceGroup } from '../nn/device-group.js'
import type { DenseParams } from '../nn/dense.js'
import type { Embedding } from '../nn/embedding.js'
import type { MlpParams } from '../nn/mlp.js'
import type { MoeParams } from '../nn/moe/layer.js'
import type { Router } from '../nn/moe/router.js'
import type { RouterRecord } from '../nn/moe/types.js'
import type { NormParams } from '../nn/rms-norm.js'
import type { ModelConfig, RouterConfig, StackName } from './config.js'
import type { Meaning } from './meaning.js'

/** A model's parameters as a tree, with T5X's names. parameters.ts declares them. */
export type ModelParams = {
  /** The token embedding of both stacks, if they share it: `ModelConfig.sharedEmbedding`. */
  token_embedder?: EmbedderParams
  encoder: EncoderParams
  decoder: DecoderParams
}
export type EmbedderParams = { embedding: Embedding } // [vocab, dModel]
/** Relative position tables belong to the stack or to each of its layers: `ModelConfig.relativePositionBias`. */
export type EncoderParams = {
  [layer: `layers_${number}`]: EncoderLayerParams
  token_embedder?: EmbedderParams
  relpos_bias?: RelativeBiasParams
  encoder_norm: NormParams
}
export type DecoderParams = {
  [layer: `layers_${number}`]: DecoderLayerParams
  token_embedder?: EmbedderParams
  relpos_bias?: RelativeBiasParams
  decoder_norm: NormParams
  /** The output projection, if it is not the token embedding. */
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

/** One batch for training or evaluation, under T5X's names. Arrays are [batch, length]. data/features.ts makes it. */
export type Batch = {
  encoder_input_tokens: Tensor
  decoder_input_tokens: Tensor
  decoder_target_tokens: Tensor
  /** The weight of each target in the loss: 1, or 0 for padding. */
  decoder_loss_weights: Tensor
  /** The number of the example in a packed row that a token belongs to, from 1; 0 is padding. */
  encoder_segment_ids?: Tensor
  decoder_segment_ids?: Tensor
  /**
   * Where inputs are visible to attention, bool: HF's `attention_mask`. Default: where segments or the padding id do
   * not say that they are padding.
   */
  encoder_mask?: Tensor
}

export interface ForwardOptions {
  config: ModelConfig
  router: RouterConfig
  /** A router to use instead of the one that `router.kind` names. The other settings of `router` still apply. */
  customRouter?: Router
  /** A meaning to follow instead of the one that `config.reference` names. */
  meaning?: Meaning
  /** `train` applies dropout, jitter and the training capacity. */
  mode: 'train' | 'eval'
  /** A random key for dropout and jitter. Required in training if one of their rates is above 0. */
  key?: Tensor
  /** bool, shape []: whether there is dropout in this pass, of layers and experts. Default: there is. */
  dropoutActive?: Tensor
  /** Whether the backward pass computes each layer's activations again instead of keeping them. Default: false. */
  remat?: boolean
  /** Whether layers that repeat are a loop in the compiled program: see `runLayers`. Default: false. */
  scanLayers?: boolean
  /** Lays activations out over several devices. Default: they are on one. */
  constrain?: Constrain
  /**
   * The devices that share the batch, if each runs the model on its own rows (in a `shardMap`). The loss is then this
   * device's share, and metrics are those of the whole batch. Default: one device.
   */
  devices?: DeviceGroup
}

/** The record of one sparse layer's router. */
export interface LayerRecord {
  stack: StackName
  layer: number
  record: RouterRecord
}

export interface ForwardOutput {
  logits: Tensor // [batch, decoder length, vocab], float32
  /** The outputs of the stacks, after their final norms. */
  encoderOutput: Tensor // [batch, encoder length, dModel]
  decoderOutput: Tensor // [batch, decoder length, dModel]
  /** The input of each layer of a stack, and last the output of its last layer, before the final norm. */
  encoderStates: Tensor[]
  decoderStates: Tensor[]
  /** One record for each sparse layer, the encoder's first. */
  routers: LayerRecord[]
}

/** Metrics by name: scalars, and `expertLoad/<stack>/layers_<i>` [experts]. */
export type Metrics = { [name: string]: Tensor }

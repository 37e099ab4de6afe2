/** `switchyard-ml/model`: the Switch/T5 encoder-decoder as functions on arrays. Runs in Node and in browsers. */

// Sizes, parameters, the forward pass and the loss
export { preset, presets } from './model/presets.js'
export type { Preset } from './model/presets.js'
export type { SpecialIds } from './base/special-ids.js'
export type { GenerationDefaults } from './model/generation-defaults.js'
export type { ModelConfig, RouterConfig, StackName } from './model/config.js'
export type { Activation } from './nn/mlp.js'
export { meanings } from './model/meaning.js'
export type { Meaning, Reference } from './model/meaning.js'
export { countActiveParameters, countParameters, declareParameters } from './model/parameters.js'
export type { Initializer, LogicalAxis, ParameterPlace, ParameterRole, ParameterSpec } from './model/parameters.js'
export type { Projection, Sublayer } from './model/parameters.js'
export { initParameters } from './model/init.js'
export { forward } from './model/forward.js'
export { lossFunction } from './model/loss.js'
export type { Distillation, LossOptions } from './model/loss.js'
export type { Batch, ForwardOptions, ForwardOutput, LayerRecord, Metrics } from './model/types.js'
export type {
  DecoderLayerParams,
  DecoderParams,
  EncoderLayerParams,
  EmbedderParams,
  EncoderParams,
  ModelParams,
} from './model/types.js'
export type { RelativeBiasParams } from './model/types.js'
export type { AttentionParams } from './nn/attention.js'
export type { DenseParams } from './nn/dense.js'
export type { AdaptedKernel } from './nn/lora.js'
export type { Embedding } from './nn/embedding.js'
export type { MlpParams } from './nn/mlp.js'
export type { ActivationAxis, Constrain } from './nn/constrain.js'
export type { DeviceGroup, ExpertGroup } from './nn/device-group.js'
export type { MoeParams, RouterWeights } from './nn/moe/layer.js'
export type { Kernel, QuantizedKernel } from './nn/quantized.js'
export type { NormParams } from './nn/rms-norm.js'
export type { RouterRecord, RouterStatistics } from './nn/moe/types.js'
export { expertsChoose } from './nn/moe/routers/experts-choose.js'
export { hashTokens } from './nn/moe/routers/hash.js'
export { assignFixed } from './nn/moe/routers/positions.js'
export { randomTokens } from './nn/moe/routers/random.js'
export type { RouterKind } from './nn/moe/routers/routers.js'
export { softMixture } from './nn/moe/routers/soft.js'
export { tokensChoose, tokensChooseTop1 } from './nn/moe/routers/tokens-choose.js'
export type { TokensChooseOptions } from './nn/moe/routers/tokens-choose.js'
export type { Assignment, Router, RouterScores, RoutingContext } from './nn/moe/router.js'
export type { TokenGroups } from './nn/moe/groups.js'
export type { RouterLosses, StackRouters } from './model/router-losses.js'

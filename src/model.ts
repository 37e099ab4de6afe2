/** `switchyard-ml/model`: the Switch/T5 encoder-decoder as functions on arrays. Runs in Node and in browsers. */

// Sizes, parameters, the forward pass and the loss
export { preset, presets } from './model/presets.js'
export type { ModelConfig, RouterConfig } from './model/config.js'
export { meanings } from './model/meaning.js'
export type { Meaning, Reference } from './model/meaning.js'
export { countActiveParameters, countParameters, declareParameters } from './model/parameters.js'
export type { LogicalAxis, ParameterPlace, ParameterRole, ParameterSpec } from './model/parameters.js'
export { initParameters } from './model/init.js'
export { forward } from './model/forward.js'
export { lossFunction } from './model/loss.js'
export type { LossOptions } from './model/loss.js'
export type { Batch, ForwardOptions, ForwardOutput, Metrics, ModelParams } from './model/types.js'
export type { RouterRecord } from './nn/moe/types.js'
export { tokensChooseTop1 } from './nn/moe/router.js'
export type { Assignment, Router, RouterScores } from './nn/moe/router.js'
export type { TokenGroups } from './nn/moe/groups.js'
export type { RouterLosses, StackRouters } from './model/router-losses.js'

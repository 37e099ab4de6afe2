/** `switchyard-ml`: everything that runs in Node. */

export * from './portable.js'
export * from './data.js'
export * from './train.js'

// ONNX Runtime for Node, with settings of your own: setBackend(new OnnxBackend(nodeSessions(threads)))
export { nodeSessions } from './engine/compile/onnx/node.js'

// Models and vocabularies from a run, a folder, the Hugging Face hub
export { openTextModel } from './open/text-model.js'
export type { OpenedTextModel, TextModelOptions } from './open/text-model.js'
export type { CheckpointChoice } from './train/choose-checkpoint.js'
export { openEmbedder } from './open/embedding-model.js'
export type { EmbedderOptions } from './open/embedding-model.js'
export { shippedModel, shippedModels } from './open/shipped-models.js'
export { fetchModel } from './checkpoint/hub/fetch-model.js'
export type { FetchOptions } from './checkpoint/hub/fetch-model.js'
export type { FetchProgress } from './checkpoint/hub/fetch-files.js'
export { openModel } from './open/open-model.js'
export type { OpenedModel } from './open/open-model.js'

// Released weights in folders
export { openHfWeights, writeHfWeights } from './checkpoint/names/hf-folder.js'
export { openT5xWeights, writeT5xWeights } from './checkpoint/names/t5x-weights.js'

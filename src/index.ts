/** The public API: names only. */

// Arrays, and functions on them
export { Tensor } from './engine/api/tensor.js'
export type { TensorLike, Index, IndexedUpdate } from './engine/api/tensor.js'
export * as np from './engine/api/np.js'
export * as lax from './engine/api/lax.js'
export * as random from './engine/api/random.js'

// Transformations of functions
export { assertMaxTraces, jit } from './engine/api/jit.js'
export type { JitOptions } from './engine/api/jit.js'
export { specialize } from './engine/api/specialize.js'
export type { SpecializeOptions } from './engine/api/specialize.js'
export { grad, jvp, linearize, makeProgram, valueAndGrad, vjp } from './engine/api/transforms.js'
export { hessian, jacobian } from './engine/api/jacobian.js'
export { vmap } from './engine/api/vmap.js'
export { remat } from './engine/api/remat.js'
export { composite, customJvp, customVjp } from './engine/api/composite.js'
export type { Vjp } from './engine/api/composite.js'
export { TensorType, evalShape } from './engine/api/eval-shape.js'
export { debugNaNs } from './engine/api/debug.js'
export type { TensorTree } from './engine/api/tracing.js'

// Backends
export { setBackend } from './engine/api/engine.js'
export type { Backend, Buffer, Executable } from './engine/compile/backend.js'
export { referenceBackend } from './engine/compile/reference/backend.js'

// Models: sizes, parameters, the forward pass and the loss
export { preset, presets } from './model/presets.js'
export type { ModelConfig, RouterConfig } from './model/config.js'
export { meanings } from './model/meaning.js'
export type { Meaning, Reference } from './model/meaning.js'
export { countActiveParameters, countParameters, declareParameters } from './model/parameters.js'
export type { ParameterSpec } from './model/parameters.js'
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

// Training
export { adamW } from './train/optimizers/adamw.js'
export { adafactor } from './train/optimizers/adafactor.js'
export { clipByGlobalNorm, globalNorm } from './train/optimizers/clipping.js'
export { makeSchedule } from './train/optimizers/schedules.js'
export type { Optimizer } from './train/optimizers/optimizer.js'
export { makeTrainStep } from './train/step.js'
export { Trainer } from './train/trainer.js'
export { recipes } from './config/recipes.js'
export { g2pTask, pairsTask } from './data/tasks.js'

// Answers
export { generate, makeGenerator } from './infer/generate.js'
export type { GenerateOptions, Generator, RunOptions } from './infer/generate.js'
export { greedySearch, sampling, scoring } from './infer/search.js'
export { beamSearch } from './infer/beam.js'
export type { Answer, ChoiceOptions, NextTokens, Search, SearchOptions } from './infer/search.js'
export type { BeamOptions } from './infer/beam.js'
export { openTextModel } from './open/text-model.js'
export type { TextModelOptions } from './open/text-model.js'
export { fetchModel } from './checkpoint/hub/fetch-model.js'
export type { FetchOptions } from './checkpoint/hub/fetch-model.js'
export { TextGenerator } from './infer/text-generator.js'
export type { TextAnswer, TextModel, TextScore } from './infer/text-generator.js'
export type { TextOptions } from './infer/text-options.js'
export { fillBlanks, readBlanks } from './infer/blanks.js'
export * as processors from './infer/processors.js'
export type { ScoreProcessor } from './infer/processors.js'
export { evaluate } from './train/evaluate.js'
export { openModel } from './open/open-model.js'
export { makePredictor } from './infer/predictor.js'

// Texts and tokens
export { loadT5Vocabulary, loadVocabulary } from './open/load-vocabulary.js'
export { ByteVocabulary } from './text/bytes.js'
export { CharacterVocabulary, WordVocabulary } from './text/symbols.js'
export { SentencePieceVocabulary } from './text/sentencepiece.js'
export { vocabularyFromJSON } from './text/from-json.js'
export type { TextStream, Vocabulary } from './text/vocabulary.js'

// Released weights
export { openHfWeights, writeHfWeights } from './checkpoint/names/hf-folder.js'
export { openT5xWeights, writeT5xWeights } from './checkpoint/names/t5x-weights.js'
export { readWeights } from './checkpoint/weights.js'
export type { Weights } from './checkpoint/weights.js'

// Errors and types
export { ConfigError, FileError, ShapeError, SwitchyardError } from './base/errors.js'
export type { DType } from './base/dtypes.js'
export type { HostTensor } from './base/host-tensor.js'

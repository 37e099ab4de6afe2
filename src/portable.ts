/** Everything that runs both in Node and in browsers. `switchyard-ml` and `switchyard-ml/browser` export all of it. */

export * from './engine.js'
export * from './model.js'
export * from './text.js'

// Generating text
export { generate, makeGenerator } from './infer/generate.js'
export type { BatchOptions, GenerateOptions, Generator } from './infer/generate.js'
export { greedySearch, sampling, scoring } from './infer/search.js'
export { beamSearch } from './infer/beam.js'
export type { Answer, ChoiceOptions, NextTokens, Search, SearchOptions } from './infer/search.js'
export type { BeamOptions } from './infer/beam.js'
export { TextGenerator } from './infer/text-generator.js'
export type { SchedulerLimits } from './infer/limits.js'
export type {
  AnswerOptions,
  PieceOptions,
  TextAnswer,
  TextAnswers,
  TextOrIds,
  TextSide,
  TextScore,
} from './infer/text-answers.js'
export type { TextGeneratorOptions, TextLimits, TextModel } from './infer/text-generator.js'
export type { GeneratorStatistics } from './infer/statistics.js'
export type { StepExperts } from './infer/search.js'
export type { ScoredId } from './infer/top-tokens.js'
export type { PassObserver, RoutedPass, TokenExperts } from './infer/expert-choices.js'
export type { AnswerPiece, AnswerToken, FinishReason, ScoredToken } from './infer/answer-piece.js'
export type { TextOptions } from './infer/text-options.js'
export { TextEmbedder } from './infer/embed/text-embedder.js'
export type { EmbeddedText, EmbeddingModel, EmbedOptions } from './infer/embed/text-embedder.js'
export type { EmbeddingWeights } from './infer/embed/encode-batch.js'
export type { DenseLayer, DenseWeights, VectorHead, VectorLayer } from './infer/embed/vector-layers.js'
export type { Similarity } from './base/similarity.js'
export type { PoolingMode } from './nn/pooling.js'
export { fillBlanks, readBlanks } from './infer/blanks.js'
export * as processors from './infer/processors.js'
export type { ScoreProcessor } from './infer/processors.js'
export type { BestTokens } from './infer/row-scores.js'

// Weights from bytes: in memory, in a Blob, or at a URL
export { blobSource, memorySource } from './checkpoint/byte-source.js'
export type { ByteSource, DiskFile, OpenFile, RemoteBytes } from './checkpoint/byte-source.js'
export { urlSource } from './checkpoint/url-source.js'
export type { UrlOptions } from './checkpoint/url-source.js'
export { openSafetensors } from './checkpoint/safetensors-read.js'
export { openTorch } from './checkpoint/torch/read.js'
export type { CheckpointReader, RemoteRange, StoredBytes, TensorInfo } from './checkpoint/format.js'
export type { ExpertPart, ExpertSource, ExpertStack, ExpertTraffic } from './checkpoint/experts/source.js'
export { hfWeights } from './checkpoint/names/hf-weights.js'
export type { HfFiles } from './checkpoint/names/hf-files.js'
export { readParameters, readWeights } from './checkpoint/weights.js'
export type { Weights } from './checkpoint/weights.js'
export type { Bits, QuantizedTensor, QuantizedTypes, StoredQuantized } from './checkpoint/quantize.js'
export { loadTextModel } from './infer/load.js'
export type { LoadOptions } from './infer/load.js'
export type { PagedExperts, PagingOptions, PagingStatistics } from './infer/paged-experts.js'
export type { ExpertReaders } from './infer/paging/readers.js'
export type { PagingProgress, StackCounts } from './infer/paging/pager.js'
export type { PageNumbers, StackShape } from './infer/paging/pages.js'

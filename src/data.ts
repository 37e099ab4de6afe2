/** `switchyard-ml/data`: tasks (examples, vocabularies and metrics). For Node. */

// Tasks
export { defineTask } from './data/define-task.js'
export type { TaskDefinition, TaskParts } from './data/define-task.js'
export type { SplitBy } from './data/splits.js'
export { defineMixture } from './data/mixture.js'
export type { MixtureEntry, MixtureParts } from './data/mixture.js'
export type { TaskFeatures } from './data/preprocessed-task.js'
export { makeTask, taskCodec } from './data/task.js'
export type {
  SavedCodec,
  SeqioOptions,
  Stage,
  Task,
  TaskCodec,
  TaskConfig,
  TaskLoadOptions,
  TaskMember,
  TokenOptions,
} from './data/task.js'
export type { Dataset, StorableDataset } from './data/dataset.js'
export { tokenDataset } from './data/features.js'
export type { TokenExample } from './data/features.js'
export type { Example, SplitName } from './data/example.js'
export { g2pTask } from './data/tasks/g2p.js'
export { pairsTask } from './data/tasks/pairs.js'
export type { PairsOptions } from './data/tasks/pairs.js'
export type { PairsSettings } from './data/pairs/settings.js'
export { loadTask } from './data/tasks/registry.js'

// Long work on data, such as encoding it
export { onLongWork } from './data/long-work.js'
export type { WorkListener, WorkProgress, WorkUnit } from './data/long-work.js'

// Vocabularies from files
export { loadT5Vocabulary, loadVocabulary } from './data/vocabularies/load-vocabulary.js'

// Sources of examples
export type { Source, SourceDataset } from './data/sources/source.js'
export {
  csvSource,
  fileSource,
  jsonLinesSource,
  parquetSource,
  textLineSource,
  tfExampleSource,
} from './data/sources/file-sources.js'
export type { FilePatterns } from './data/sources/find-files.js'
export type { DelimitedOptions } from './data/sources/delimited/delimited.js'
export type { Dialect } from './data/sources/delimited/parse.js'
export type { SourceFiles } from './data/sources/file-sources.js'
export type { DataFile, DataFileOptions, FileFormat } from './data/sources/data-file.js'
export type { RawRecord, RecordFormat } from './data/sources/records.js'
export type { FeatureType } from './data/sources/tfrecord/example.js'
export { functionSource } from './data/sources/iterable-source.js'
export type { Examples } from './data/sources/iterable-source.js'
export { brownSource } from './data/sources/npm/brown.js'
export { spamSource } from './data/sources/npm/spam-assassin.js'
export type { Fields, FieldValue } from './data/preprocessor.js'
export { eachExample } from './data/preprocessors/text/fields.js'

// T5's token preprocessors
export { SeqioBatches } from './data/batches/seqio-batches.js'
export type { SeqioBatchesOptions } from './data/batches/seqio-batches.js'
export { batchStream } from './data/batches/prefetch.js'
export type { BatchStream } from './data/batches/stream.js'
export type {
  ExampleStream,
  FitOptions,
  Reload,
  StreamOptions,
  Ticket,
  TooLong,
} from './data/streams/example-stream.js'
export type { TaskLoader } from './data/task-loader.js'
export type { Shard } from './data/streams/shard.js'
export { taskStream } from './data/streams/task-stream.js'
export type { IteratorOptions, IteratorState, TrainBatch } from './data/iterator.js'
export type { PackedSize } from './data/open-rows.js'
export type { TargetEos } from './data/packing/target-eos.js'
export { cacheDatasetPlaceholder, seqioPipeline } from './data/pipeline.js'
export type { PipelineOptions } from './data/pipeline.js'
export type { Feature, Preprocessor, PreprocessorContext, SeedCounter } from './data/preprocessor.js'
export { spanCorruption } from './data/preprocessors/span-corruption.js'
export type { SpanCorruptionOptions } from './data/preprocessors/span-corruption.js'
export { fullLm, iidDenoising, prefixLm, targetsForPrefixLmObjective } from './data/preprocessors/objectives.js'
export { denoise } from './data/preprocessors/denoise.js'
export type { DenoiseOptions } from './data/preprocessors/denoise.js'
export { iidNoiseMask, randomPrefixNoiseMask, regularNoiseMask } from './data/preprocessors/noise/masks.js'
export type { NoiseMask } from './data/preprocessors/noise/masks.js'
export { randomSpansNoiseMask } from './data/preprocessors/noise/random-spans.js'
export type { RandomSpansOptions } from './data/preprocessors/noise/random-spans.js'
export { randomSpansHelper } from './data/preprocessors/noise/random-spans-helper.js'
export type { RandomSpans, RandomSpansSizes } from './data/preprocessors/noise/random-spans-helper.js'
export {
  dropNoiseTokens,
  dropNonnoiseTokens,
  noiseSpanToSentinel,
  noiseSpanToUniqueSentinel,
  noiseTokenToGatheredToken,
  noiseTokenToRandomToken,
  noiseTokenToRandomTokenOrSentinel,
  noiseTokenToSentinel,
  nonnoiseSpanToSentinel,
  nonnoiseSpanToUniqueSentinel,
  permuteNoiseTokens,
} from './data/preprocessors/noise/noise-functions.js'
export type { NoiseFunction } from './data/preprocessors/noise/noise-functions.js'
export { selectRandomChunk } from './data/preprocessors/select-random-chunk.js'
export type { SelectRandomChunkOptions } from './data/preprocessors/select-random-chunk.js'
export { reduceConcatTokens } from './data/preprocessors/reduce-concat-tokens.js'
export type { ReduceConcatTokensOptions } from './data/preprocessors/reduce-concat-tokens.js'
export { concatenateAndSplitToFixedLength } from './data/preprocessors/concatenate-and-split.js'
export {
  splitTokens,
  splitTokensToInputsLength,
  splitTokensToRandomLength,
  splitTokensToTargetsLength,
} from './data/preprocessors/split-tokens.js'
export type { SplitToLengthOptions, SplitTokensOptions } from './data/preprocessors/split-tokens.js'
export { packPrefixLmDecoderOnly, packPrefixLmEncoderDecoder } from './data/preprocessors/pack-prefix-lm.js'
export type { PackPrefixLmDecoderOnlyOptions } from './data/preprocessors/pack-prefix-lm.js'
export { triviaQaTruncateInputs } from './data/preprocessors/trivia-qa-truncate-inputs.js'
export { trimTokensAtFront } from './data/preprocessors/trim-tokens-at-front.js'
export type { FeatureKeys } from './data/preprocessors/token-fields.js'

// SeqIO's preprocessors
export { appendEos, appendEosAfterTrim } from './data/preprocessors/seqio/eos.js'
export { preprocessTensorflowExamples } from './data/preprocessors/seqio/preprocess-tensorflow-examples.js'
export { rekey } from './data/preprocessors/seqio/rekey.js'
export { tokenize, tokenizeAndAppendEos } from './data/preprocessors/seqio/tokenize.js'
export type { TokenizeOptions } from './data/preprocessors/seqio/tokenize.js'
export { trimAndPadDataset, trimDataset, truncateInputsLeft } from './data/preprocessors/seqio/trim.js'

// Feature converters: a task's features to those of a model, packed or padded
export type { ConverterOptions, FeatureConverter } from './data/converters/converter.js'
export { encDecConverter, prePackedEncDecConverter } from './data/converters/enc-dec.js'
export { encoderConverter } from './data/converters/encoder.js'
export { lmConverter } from './data/converters/lm.js'
export { prefixLmConverter } from './data/converters/prefix-lm.js'
export type { PrefixLmOptions } from './data/converters/prefix-lm.js'
export { prefixSuffixLmConverter } from './data/converters/prefix-suffix-lm.js'
export { stackRows } from './data/converters/batch.js'
export type { PackedFeatures } from './data/converters/batch.js'
export { PackedDataset } from './data/packing/trim-and-pack.js'
export type { PackedRow } from './data/packing/trim-and-pack.js'
export type { FeatureLengths, TokenFields } from './data/packing/segments.js'

// Rates of mixtures, and which task each example of a mixture is drawn from
export { mixDatasets } from './data/mixing/mix-datasets.js'
export { MixtureDraws } from './data/mixing/mixture-draws.js'
export type { Draw, DrawState } from './data/mixing/mixture-draws.js'
export { mixingRateNumExamples, taskRates } from './data/mixing/rates.js'
export type { MixtureMember, RateOptions } from './data/mixing/rates.js'

// TensorFlow's random numbers, which these preprocessors draw
export { seedOf } from './data/random/seed.js'
export type { Seed, SeedDtype } from './data/random/seed.js'
export { MapSeedCounter } from './data/random/seed-counter.js'

// Metrics
export { symbolErrorRate, wrongAnswerRate } from './metrics/error-rates.js'
export { textMetric, textMetrics } from './metrics/text-metrics.js'
export { bleu, corpusBleu } from './metrics/bleu/bleu.js'
export type { BleuOptions } from './metrics/bleu/bleu.js'
export type { BleuTokenizer } from './metrics/bleu/tokenizers.js'
export { editDistance } from './metrics/edit-distance.js'
export type { EditDistanceOptions } from './metrics/edit-distance.js'
export { deduplicateMetric, meanGroupMetric } from './metrics/groups/grouped.js'
export { rankClassification } from './metrics/groups/rank-classification.js'
export type { RankClassificationOptions, RankedCandidate } from './metrics/groups/rank-classification.js'
export { accuracy, allMatch, sequenceAccuracy } from './metrics/labels/accuracy.js'
export { auc, scoreAuc } from './metrics/labels/auc.js'
export type { AucOptions } from './metrics/labels/auc.js'
export { matthewsCorrcoef, pearsonCorrcoef, spearmanCorrcoef } from './metrics/labels/correlation.js'
export { f1ScoreWithInvalid, meanMulticlassF1, multircF1OverAllAnswers } from './metrics/labels/f1.js'
export { coqaF1, spanSquad, squad, triviaQa } from './metrics/questions/answers.js'
export type { SpanTarget } from './metrics/questions/answers.js'
export { rouge, rougeMean } from './metrics/rouge/rouge.js'
export type { RougeOptions } from './metrics/rouge/rouge.js'
export { rougeScores } from './metrics/rouge/scores.js'
export type { RougeKind, RougeScore, RougeScoreOptions } from './metrics/rouge/scores.js'
export { formatFigure, formatPercent, predictionMetric, scoreMetric } from './metrics/metric.js'
export type { AcceptedAnswers, Figures, Metric, MetricFunction } from './metrics/metric.js'

// T5's text preprocessors and its postprocessors: textPreprocessors.squad(), postprocessors.qa()
export * as textPreprocessors from './data/preprocessors/text/text.js'
export * as postprocessors from './data/postprocessors/postprocessors.js'
export type { Postprocessor, PostprocessorContext } from './data/postprocessors/postprocessor.js'

/** `switchyard-ml/data`: tasks (examples, vocabularies and metrics). For Node. */

// Tasks
export { makeTask, taskCodec } from './data/task.js'
export type { Task, TaskCodec, TaskConfig } from './data/task.js'
export type { Dataset } from './data/dataset.js'
export { tokenDataset } from './data/features.js'
export type { TokenExample } from './data/features.js'
export type { Example, SplitName } from './data/source.js'
export { g2pTask } from './data/tasks/g2p.js'
export { pairsTask } from './data/tasks/pairs.js'
export { loadTask } from './data/tasks/registry.js'

// Vocabularies from files
export { loadT5Vocabulary, loadVocabulary } from './data/vocabularies/load-vocabulary.js'

// Metrics
export { symbolErrorRate, wrongAnswerRate } from './metrics/error-rates.js'
export { formatFigure, formatPercent, predictionMetric, scoreMetric } from './metrics/metric.js'
export type { AcceptedAnswers, Figures, Metric, MetricFunction } from './metrics/metric.js'
export type { Postprocessor, PostprocessorContext } from './data/postprocessors/postprocessor.js'

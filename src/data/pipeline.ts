import { ConfigError } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import type { Feature, Fields, Preprocessor, PreprocessorContext } from './preprocessor.js'
import { trimDataset } from './preprocessors/seqio/trim.js'
import { chain } from './preprocessors/token-fields.js'
import { MapSeedCounter } from './random/seed-counter.js'
import { repeatDataset } from './stages/repeat.js'
import { shuffleDataset } from './stages/shuffle.js'

const CACHE_PLACEHOLDER = 'cacheDatasetPlaceholder'

/**
 * SeqIO's `CacheDatasetPlaceholder`: marks where a task's examples are the same in every epoch and may be cached.
 * Random preprocessors belong after it, because the repetition of the examples begins there.
 */
export const cacheDatasetPlaceholder = (): Preprocessor => ({ name: CACHE_PLACEHOLDER, apply: dataset => dataset })

export const isCachePlaceholder = ({ name }: Preprocessor): boolean => name === CACHE_PLACEHOLDER

export interface PipelineOptions {
  readonly preprocessors: readonly Preprocessor[]
  readonly features: { readonly [feature: string]: Feature }
  /** The greatest length of each feature in tokens (`sequence_length`). Default: no limit. */
  readonly lengths?: PreprocessorContext['lengths']
  readonly seed: number
  /** How often the examples are repeated; null: for ever. Default: 1. */
  readonly epochs?: number | null
  /** The buffer of the shuffle in examples (`shuffle_buffer_size`), or null for no shuffle. Default: null. */
  readonly shuffleBufferSize?: number | null
  /** Replaces the examples before the repetition by stored copies. Default: they are computed in each epoch. */
  readonly cache?: (examples: Dataset<Fields>) => Dataset<Fields>
}

/** Random preprocessors after the placeholder at index i begin with the seed plus i times this number. */
const SEED_STEP = 42

/**
 * A task's examples exactly as SeqIO's `Task.get_dataset` makes them: source, preprocessors before the cache
 * placeholder, repetition, preprocessors after it, trimming to the lengths, shuffle. Without a placeholder all
 * preprocessors come after the repetition. Any example of any epoch can be had at once: see the stages for what their
 * indexes cost.
 */
export function seqioPipeline(source: Dataset<Fields>, options: PipelineOptions): Dataset<Fields> {
  const { preprocessors, features, lengths = null, seed, epochs = 1, shuffleBufferSize = null } = options
  const placeholders = preprocessors.flatMap((stage, i) => (isCachePlaceholder(stage) ? [i] : []))
  if (placeholders.length > 1) throw new ConfigError('a task has one cacheDatasetPlaceholder at most')
  const [placeholder = 0] = placeholders
  const apply = (dataset: Dataset<Fields>, stages: readonly Preprocessor[], seed: number): Dataset<Fields> =>
    chain('pipeline', stages).apply(dataset, { seeds: new MapSeedCounter(seed), lengths, features })
  const stable = apply(source, preprocessors.slice(0, placeholder), seed)
  const repeated = repeatDataset(options.cache?.(stable) ?? stable, epochs)
  const random = [...preprocessors.slice(placeholder), trimDataset()]
  const examples = apply(repeated, random, seed + SEED_STEP * placeholder)
  return shuffleBufferSize === null ? examples : shuffleDataset(examples, { bufferSize: shuffleBufferSize, seed })
}

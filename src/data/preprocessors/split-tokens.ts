import { check } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import type { Fields, Preprocessor, PreprocessorContext } from '../preprocessor.js'
import { ExampleSeeds } from '../random/seed-counter.js'
import type { Seed } from '../random/seed.js'
import { randomFloat32 } from '../random/stateless.js'
import { filterDataset } from '../stages/filter.js'
import { GrowingSums } from '../stages/growing-sums.js'
import { rememberLast } from '../stages/remember.js'
import { ConcatenatedTokens } from './reduce-concat-tokens.js'
import { cutExample, featureKeys, roomOf, tokensOf } from './token-fields.js'
import type { FeatureKeys } from './token-fields.js'

export interface SplitTokensOptions extends FeatureKeys {
  /** The length of a segment in tokens. The last segment of a document may be shorter. */
  readonly maxTokensPerSegment: number
  /** If set, each document has segments of a random length, log-uniform from this one to `maxTokensPerSegment`. */
  readonly minTokensPerSegment?: number
}

/** T5's `split_tokens`: the segments of each document, one after the other. Empty documents give none. */
export function splitTokens(options: SplitTokensOptions): Preprocessor {
  return { name: 'splitTokens', apply: (dataset, context) => split('splitTokens', options, dataset, context) }
}

/** A split to the length of a feature, which the context tells. */
export type SplitToLengthOptions = Omit<SplitTokensOptions, 'maxTokensPerSegment'>

/** T5's `split_tokens_to_inputs_length`: segments as long as the inputs, less 1 if the inputs end with EOS. */
export const splitTokensToInputsLength = (options: SplitToLengthOptions = {}): Preprocessor =>
  splitToLength('splitTokensToInputsLength', 'inputs', options)

/** T5's `split_tokens_to_targets_length`: segments as long as the targets, less 1 if the targets end with EOS. */
export const splitTokensToTargetsLength = (options: SplitToLengthOptions = {}): Preprocessor =>
  splitToLength('splitTokensToTargetsLength', 'targets', options)

/** T5's `split_tokens_to_random_length`: segments of a random length from 8 to that of `splitTokensToInputsLength`. */
export const splitTokensToRandomLength = (options: FeatureKeys = {}): Preprocessor =>
  splitToLength('splitTokensToRandomLength', 'inputs', { minTokensPerSegment: 8, ...options })

function splitToLength(name: string, feature: string, options: SplitToLengthOptions): Preprocessor {
  return {
    name,
    apply: (dataset, context) =>
      split(name, { ...options, maxTokensPerSegment: roomOf(context, feature, name) }, dataset, context),
  }
}

function split(
  name: string,
  options: SplitTokensOptions,
  dataset: Dataset<Fields>,
  { seeds }: PreprocessorContext,
): Dataset<Fields> {
  const keys = featureKeys(name, options)
  const { maxTokensPerSegment: longest, minTokensPerSegment: shortest } = options
  check(longest >= 1, () => `${name} needs segments of 1 or more tokens, not ${longest}`)
  check(
    shortest === undefined || (shortest >= 1 && shortest <= longest),
    () => `${name} needs a least length from 1 to the greatest one, ${longest}, not ${shortest}`,
  )
  // T5 takes a seed for each document also if no length is random.
  const documentSeeds = new ExampleSeeds(seeds, 1)
  if (shortest === undefined) return new Segments(documentsOf(dataset, keys, name), () => longest, true)
  // The seeds are counted over the documents that are not empty.
  const nonEmpty = filterDataset(dataset, example => tokensOf(example, keys.featureKey, name).length > 0)
  const lengthOf = (document: number): number => randomLength(documentSeeds.get(document), shortest, longest)
  return new Segments(documentsOf(nonEmpty, keys, name), lengthOf, false)
}

/** A random length, log-uniform from `shortest` to `longest`, computed in float32 and rounded down. */
function randomLength(seed: Seed, shortest: number, longest: number): number {
  return Math.trunc(Math.fround(Math.exp(randomFloat32(seed, Math.log(shortest), Math.log(longest)))))
}

/** Documents of which a stretch can be had. */
interface Documents extends Pick<Dataset<Fields>, 'length' | 'period'> {
  /** The number of tokens of a document. */
  count(document: number): number
  /** A document's tokens from `from` to `to`, with the features that go with them. */
  cut(document: number, from: number, to: number): Fields
}

function documentsOf(dataset: Dataset<Fields>, keys: Required<FeatureKeys>, name: string): Documents {
  const { featureKey, additionalFeatureKeys, passthroughFeatureKeys } = keys
  const example = rememberLast(index => dataset.get(index))
  const alone = additionalFeatureKeys.length + passthroughFeatureKeys.length === 0
  const concatenated = alone && dataset instanceof ConcatenatedTokens && dataset.featureKey === featureKey
  return {
    get length() {
      return dataset.length
    },
    get period() {
      return dataset.period
    },
    count: concatenated
      ? document => dataset.count(document)
      : document => tokensOf(example(document), featureKey, name).length,
    cut: concatenated
      ? (document, from, to) => ({ [featureKey]: dataset.slice(document, from, to) })
      : (document, from, to) => cutExample(example(document), keys, [from, to], name),
  }
}

/** The segments of documents, with random access. */
class Segments implements Dataset<Fields> {
  private readonly segments: GrowingSums

  /** `fixed` says whether equal documents have segments of equal lengths. */
  constructor(
    private readonly documents: Documents,
    private readonly lengthOf: (document: number) => number,
    private readonly fixed: boolean,
  ) {
    this.segments = new GrowingSums(
      {
        get length() {
          return documents.length
        },
        get period() {
          return fixed ? documents.period : undefined
        },
      },
      document => Math.ceil(documents.count(document) / lengthOf(document)),
    )
  }

  get length(): number {
    return this.segments.total
  }

  get period(): number | undefined {
    return this.fixed ? this.segments.period : undefined
  }

  get(index: number): Fields {
    const { item, before } = this.segments.find(index)
    const length = this.lengthOf(item)
    const from = (index - before) * length
    return this.documents.cut(item, from, Math.min(from + length, this.documents.count(item)))
  }
}

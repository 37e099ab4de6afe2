import { check } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import type { Fields, Preprocessor } from '../preprocessor.js'
import { padIdOf } from './token-fields.js'
import { TokenStream } from './token-stream.js'

export interface ReduceConcatTokensOptions {
  /** The feature that is concatenated; all others are dropped. Default: targets. */
  readonly featureKey?: string
  /** The number of documents that become one. Default: 128. */
  readonly batchSize?: number
}

/**
 * T5's `reduce_concat_tokens`: each 128 documents become one. All padding is dropped (0 in T5's vocabulary), also
 * inside a document. Documents of several epochs may meet in one result.
 */
export function reduceConcatTokens({
  featureKey = 'targets',
  batchSize = 128,
}: ReduceConcatTokensOptions = {}): Preprocessor {
  check(batchSize >= 1, () => `reduceConcatTokens needs a batch size of 1 or more, not ${batchSize}`)
  return {
    name: 'reduceConcatTokens',
    apply: (dataset, context) => new ConcatenatedTokens(dataset, featureKey, batchSize, padIdOf(context, featureKey)),
  }
}

/** The result of `reduceConcatTokens`. Any stretch of a result can be had by itself. */
export class ConcatenatedTokens implements Dataset<Fields> {
  private readonly tokens: TokenStream

  constructor(
    private readonly documents: Dataset<Fields>,
    readonly featureKey: string,
    private readonly batchSize: number,
    padId: number,
  ) {
    this.tokens = new TokenStream(documents, { featureKey, padId, stage: 'reduceConcatTokens' })
  }

  get length(): number {
    return Math.ceil(this.documents.length / this.batchSize)
  }

  get period(): number | undefined {
    const { period } = this.documents
    return period === undefined ? undefined : period / greatestCommonDivisor(period, this.batchSize)
  }

  get(index: number): Fields {
    return { [this.featureKey]: this.slice(index, 0, this.count(index)) }
  }

  /** The number of tokens of the result at `index`. */
  count(index: number): number {
    const end = Math.min((index + 1) * this.batchSize, this.documents.length)
    return this.tokens.before(end) - this.tokens.before(index * this.batchSize)
  }

  /** Tokens `from` to `to` of the result at `index`. */
  slice(index: number, from: number, to: number): Int32Array {
    const first = this.tokens.before(index * this.batchSize)
    return this.tokens.slice(first + from, first + to)
  }
}

/** The greatest common divisor of two whole numbers, not both 0. */
export const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b))

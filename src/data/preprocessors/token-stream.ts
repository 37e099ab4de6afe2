import type { Dataset } from '../dataset.js'
import { countTokens } from '../packing/segments.js'
import type { Fields } from '../preprocessor.js'
import { GrowingSums } from '../stages/growing-sums.js'
import { rememberLast } from '../stages/remember.js'
import { RandomChunks } from './select-random-chunk.js'
import { tokensOf } from './token-fields.js'

export interface TokenStreamOptions {
  readonly featureKey: string
  /** The id of padding, which is left out. Default: every token stays. */
  readonly padId?: number
  /** As messages name the preprocessor. */
  readonly stage: string
}

/**
 * The tokens of all documents, one after the other. Any stretch of them can be had from the documents that hold it.
 * Each document is read once to count its tokens; of documents that repeat, those of one period are. (Random chunks of
 * long documents are not equal in each epoch. They are counted without reading them, but for each epoch.)
 */
export class TokenStream {
  private readonly document: (index: number) => Int32Array
  private readonly sums: GrowingSums

  constructor(documents: Dataset<Fields>, { featureKey, padId, stage }: TokenStreamOptions) {
    const tokens = (index: number): Int32Array => tokensOf(documents.get(index), featureKey, stage)
    this.document = rememberLast(padId === undefined ? tokens : index => withoutPadding(tokens(index), padId))
    const count = padId === undefined ? (i: number) => tokens(i).length : (i: number) => countTokens(tokens(i), padId)
    const chunks = padId !== undefined && documents instanceof RandomChunks ? documents : undefined
    this.sums = new GrowingSums(documents, index => {
      const first = chunks?.first(index) ?? index
      return first < index ? this.sums.countOf(first) : (chunks?.count(index) ?? count(index))
    })
  }

  /** The number of tokens; Infinity for documents that repeat forever. */
  get length(): number {
    return this.sums.total
  }

  /** The number of tokens after which they repeat, if it is known. */
  get period(): number | undefined {
    return this.sums.period
  }

  /** The number of tokens of the documents before `document`. */
  before(document: number): number {
    return this.sums.before(document)
  }

  /** The tokens from place `from` to place `to`. */
  slice(from: number, to: number): Int32Array {
    const slice = new Int32Array(to - from)
    for (let at = from; at < to;) {
      const { item, before } = this.sums.find(at)
      const part = this.document(item).subarray(at - before, to - before)
      slice.set(part, at - from)
      at += part.length
    }
    return slice
  }
}

/** The tokens that are not padding: the same array if none is. */
function withoutPadding(tokens: Int32Array, padId: number): Int32Array {
  return tokens.includes(padId) ? tokens.filter(token => token !== padId) : tokens
}

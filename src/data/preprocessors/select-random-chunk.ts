import { check } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import type { Fields, Preprocessor } from '../preprocessor.js'
import { ExampleSeeds } from '../random/seed-counter.js'
import type { Seed } from '../random/seed.js'
import { filterDataset } from '../stages/filter.js'
import { randomInt32, splitSeed } from '../random/stateless.js'
import { cutExample, featureKeys, padIdOf, roomOf, tokensOf } from './token-fields.js'
import type { FeatureKeys } from './token-fields.js'

export interface SelectRandomChunkOptions extends FeatureKeys {
  /** The length of a chunk in tokens. Default: the feature's length, less 1 for EOS. */
  readonly maxLength?: number
  /** If set, each chunk has a random length from `minLength` to `maxLength` - 1. */
  readonly minLength?: number
  /** Whether a chunk may begin at any token. Default: false, at a multiple of its length. */
  readonly uniformRandomStart?: boolean
}

type ChunkOptions = Pick<SelectRandomChunkOptions, 'minLength' | 'uniformRandomStart'> & {
  readonly maxLength: number
  readonly padId: number
}

/**
 * T5's `select_random_chunk`: one random chunk of each document. Empty documents are dropped first. A document that is
 * no longer than a chunk stays whole, unless `minLength` or `uniformRandomStart` is given.
 */
export function selectRandomChunk(options: SelectRandomChunkOptions = {}): Preprocessor {
  const keys = featureKeys(NAME, options)
  return {
    name: NAME,
    apply: (dataset, context) => {
      const maxLength = options.maxLength ?? roomOf(context, keys.featureKey, NAME)
      const { minLength } = options
      check(maxLength >= 1, () => `${NAME} needs chunks of 1 or more tokens, not ${maxLength}`)
      check(
        minLength === undefined || (minLength >= 1 && minLength < maxLength),
        () => `${NAME} needs a least length from 1 to ${maxLength - 1}, below the greatest one, not ${minLength}`,
      )
      return new RandomChunks(
        dataset,
        { ...options, maxLength, padId: padIdOf(context, keys.featureKey) },
        keys,
        new ExampleSeeds(context.seeds, 1),
      )
    },
  }
}

const NAME = 'selectRandomChunk'

/** The result of `selectRandomChunk`. */
export class RandomChunks implements Dataset<Fields> {
  private readonly documents: Dataset<Fields>
  /**
   * The lengths of the documents that may be cut, by their indices: those of one period, or those read so far. The
   * length of a document with padding in it is NaN, because `count` cannot tell how much of it is in a chunk. Memory:
   * about 50 bytes for each of these documents.
   */
  private readonly cut = new Map<number, number>()

  constructor(
    dataset: Dataset<Fields>,
    private readonly options: ChunkOptions,
    private readonly keys: Required<FeatureKeys>,
    private readonly seeds: ExampleSeeds,
  ) {
    let document = 0
    // The filter sees each document of a period once, in order.
    this.documents = filterDataset(dataset, example => {
      const tokens = tokensOf(example, keys.featureKey, NAME)
      if (tokens.length === 0) return false
      if (this.isCut(tokens.length)) this.cut.set(document, tokens.includes(options.padId) ? NaN : tokens.length)
      document++
      return true
    })
  }

  get length(): number {
    return this.documents.length
  }

  /** The chunks repeat only if no document is cut. When the period is known, all of its documents have been seen. */
  get period(): number | undefined {
    const { period } = this.documents
    return this.cut.size === 0 ? period : undefined
  }

  get(index: number): Fields {
    const document = this.documents.get(index)
    const { length } = tokensOf(document, this.keys.featureKey, NAME)
    const range = this.isCut(length) ? randomChunk(length, this.seeds.get(index), this.options) : ([0, length] as const)
    return cutExample(document, this.keys, range, NAME)
  }

  /** An index up to this one at which the chunk is equal: that of the same whole document in the first epoch. */
  first(index: number): number {
    const document = this.documentOf(index)
    return this.cut.has(document) ? index : document
  }

  /** The number of tokens of a chunk that are not padding, if that is known without reading the document. */
  count(index: number): number | undefined {
    const length = this.cut.get(this.documentOf(index))
    if (length === undefined || Number.isNaN(length)) return undefined
    const [from, to] = randomChunk(length, this.seeds.get(index), this.options)
    return to - from
  }

  /** Whether a document of this length may be cut. */
  private isCut(length: number): boolean {
    const { maxLength, minLength, uniformRandomStart } = this.options
    return length > maxLength || minLength !== undefined || uniformRandomStart === true
  }

  private documentOf(index: number): number {
    const { period } = this.documents
    return period === undefined ? index : index % period
  }
}

/** The first token of a random chunk of `length` tokens, and the token after its last one. */
function randomChunk(
  length: number,
  seed: Seed,
  { maxLength, minLength, uniformRandomStart }: Omit<ChunkOptions, 'padId'>,
): [number, number] {
  const [lengthSeed, startSeed] = splitSeed(seed)
  const chunk = minLength === undefined ? maxLength : randomInt32(lengthSeed, minLength, maxLength)
  const start = uniformRandomStart
    ? randomInt32(startSeed, 1 - chunk, length)
    : chunk * randomInt32(startSeed, 0, Math.ceil(Math.fround(Math.fround(length) / Math.fround(chunk))))
  return [Math.max(start, 0), Math.min(start + chunk, length)]
}

import { filterDataset } from '../stages/filter.js'
import { mapWithSeeds } from '../stages/map-with-seeds.js'
import type { Preprocessor } from '../preprocessor.js'
import type { Seed } from '../random/seed.js'
import { randomInt32, splitSeed } from '../random/stateless.js'
import { cutExample, featureKeys, roomOf, tokensOf } from './token-fields.js'
import type { FeatureKeys } from './token-fields.js'

export interface SelectRandomChunkOptions extends FeatureKeys {
  /** The length of a chunk in tokens. Default: the feature's length, less 1 for EOS. */
  readonly maxLength?: number
  /** If set, each chunk has a random length from `minLength` to `maxLength` - 1. */
  readonly minLength?: number
  /** Whether a chunk may begin at any token. Default: false, at a multiple of its length. */
  readonly uniformRandomStart?: boolean
}

/**
 * T5's `select_random_chunk`: one random chunk of each document. Empty documents are dropped first. A document that is
 * no longer than a chunk stays whole, unless `minLength` or `uniformRandomStart` is given.
 */
export function selectRandomChunk(options: SelectRandomChunkOptions = {}): Preprocessor {
  const name = 'selectRandomChunk'
  const keys = featureKeys(name, options)
  return {
    name,
    apply(dataset, context) {
      const maxLength = options.maxLength ?? roomOf(context, keys.featureKey, name)
      let longest = 0
      const documents = filterDataset(dataset, example => {
        const { length } = tokensOf(example, keys.featureKey, name)
        longest = Math.max(longest, length)
        return length > 0
      })
      const chunks = mapWithSeeds(documents, context.seeds, 1, (example, [seed]) => {
        const { length } = tokensOf(example, keys.featureKey, name)
        return cutExample(example, keys, randomChunk(length, seed, { ...options, maxLength }), name)
      })
      const wholeDocuments = options.minLength === undefined && !options.uniformRandomStart
      return {
        get length() {
          return chunks.length
        },
        // The filter has seen every document of a period when its period is known, so `longest` is then final.
        get period() {
          const { period } = documents
          return wholeDocuments && longest <= maxLength ? period : undefined
        },
        get: index => chunks.get(index),
      }
    },
  }
}

/** The first token of a random chunk of `length` tokens, and the token after its last one. */
export function randomChunk(
  length: number,
  seed: Seed,
  { maxLength, minLength, uniformRandomStart }: SelectRandomChunkOptions & { readonly maxLength: number },
): [number, number] {
  const [lengthSeed, startSeed] = splitSeed(seed)
  const chunk = minLength === undefined ? maxLength : randomInt32(lengthSeed, minLength, maxLength)
  const start = uniformRandomStart
    ? randomInt32(startSeed, 1 - chunk, length)
    : chunk * randomInt32(startSeed, 0, Math.ceil(Math.fround(Math.fround(length) / Math.fround(chunk))))
  return [Math.max(start, 0), Math.min(start + chunk, length)]
}

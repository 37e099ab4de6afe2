import { storable } from './dataset.js'
import type { Dataset, StorableDataset } from './dataset.js'
import type { Fields } from './preprocessor.js'
import { encodeTexts, unchanged } from './preprocessors/encode-texts.js'
import { MapSeedCounter } from './random/seed-counter.js'
import type { Example } from './example.js'
import type { TextCodec } from '../text/codec.js'
import type { Vocabulary } from '../text/vocabulary.js'
import { storeTokens } from './token-cache/store-tokens.js'

/** An example as token ids. Both sides end with EOS, unless they were truncated. */
export interface TokenExample {
  readonly inputs: Int32Array
  readonly targets: Int32Array
}

/** Encodes an example and ends both sides with the EOS of their vocabularies. */
export function tokenize(
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  example: Pick<Example, 'input' | 'target'>,
): TokenExample {
  return {
    inputs: encodeWithEos(codec.inputs, example.input),
    targets: encodeWithEos(codec.targets, example.target),
  }
}

/**
 * The tokens of text examples, which are encoded when they are asked for: each `get` encodes again. `name` names them
 * in messages about long work.
 */
export function tokenDataset(
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  examples: readonly Example[],
  name = 'examples',
): StorableDataset<TokenExample> {
  const dataset = { length: examples.length, get: (index: number) => tokenize(codec, examples[index]) }
  return storable(dataset, () => {
    const stored = storeTokens({
      name,
      source: { length: examples.length, get: i => ({ inputs: examples[i].input, targets: examples[i].target }) },
      stages: [encodeTexts(name, unchanged)],
      context: {
        features: { inputs: { vocabulary: codec.inputs }, targets: { vocabulary: codec.targets } },
        lengths: null,
        seeds: new MapSeedCounter(0),
      },
    })
    return (stored?.examples ?? dataset) as Dataset<Fields & TokenExample>
  })
}

const encodeWithEos = (vocabulary: Vocabulary, text: string): Int32Array => {
  const ids = vocabulary.encode(text)
  const ended = new Int32Array(ids.length + 1)
  ended.set(ids)
  ended[ids.length] = vocabulary.eosId
  return ended
}

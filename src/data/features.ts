import { storable } from './dataset.js'
import type { Dataset, StorableDataset } from './dataset.js'
import type { Fields } from './preprocessor.js'
import { encodeTexts, unchanged } from './preprocessors/encode-texts.js'
import { MapSeedCounter } from './random/seed-counter.js'
import type { Example } from './example.js'
import type { TextCodec } from '../text/codec.js'
import { inputIds, targetIds } from '../text/special-tokens.js'
import { storeTokens } from './token-cache/store-tokens.js'

/** An example as token ids, with special tokens. Targets end with EOS, unless they were truncated. */
export interface TokenExample {
  readonly inputs: Int32Array
  readonly targets: Int32Array
}

/** Encodes an example, with the special tokens that its vocabularies put around texts. Targets end with EOS. */
export function tokenize(
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  example: Pick<Example, 'input' | 'target'>,
): TokenExample {
  return {
    inputs: Int32Array.from(inputIds(codec.inputs, example.input)),
    targets: Int32Array.from(targetIds(codec.targets, example.target)),
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

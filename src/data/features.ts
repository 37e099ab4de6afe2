import type { Dataset } from './dataset.js'
import type { Example } from './example.js'
import type { TextCodec } from '../text/codec.js'
import { EOS_ID } from '../text/vocabulary.js'

/** An example as token ids. Both sides end with EOS, unless they were truncated. */
export interface TokenExample {
  readonly inputs: Int32Array
  readonly targets: Int32Array
}

/** Encodes an example and ends both sides with EOS. */
export function tokenize(
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  example: Pick<Example, 'input' | 'target'>,
): TokenExample {
  return {
    inputs: withEos(codec.inputs.encode(example.input)),
    targets: withEos(codec.targets.encode(example.target)),
  }
}

/** The tokens of text examples, which are encoded when they are asked for: each `get` encodes again. */
export const tokenDataset = (
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  examples: readonly Example[],
): Dataset<TokenExample> => ({ length: examples.length, get: index => tokenize(codec, examples[index]) })

const withEos = (ids: readonly number[]): Int32Array => {
  const ended = new Int32Array(ids.length + 1)
  ended.set(ids)
  ended[ids.length] = EOS_ID
  return ended
}

import type { Dataset } from './dataset.js'
import type { Example } from './source.js'
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

/** What to do with an example that is longer than a row. Truncating drops the end and the EOS, as in T5X. */
export type TooLong = 'skip' | 'truncate'

export interface Fitted {
  readonly examples: TokenExample[]
  /** How many examples were left out, and how many were truncated. */
  readonly skipped: number
  readonly truncated: number
}

/** Leaves out or truncates the examples that are longer than a row, and counts them. */
export function fitLengths(
  examples: Dataset<TokenExample>,
  size: { inputLength: number; targetLength: number },
  tooLong: TooLong,
): Fitted {
  const { inputLength, targetLength } = size
  const fitted: TokenExample[] = []
  let long = 0
  for (let i = 0; i < examples.length; i++) {
    const example = examples.get(i)
    const fits = example.inputs.length <= inputLength && example.targets.length <= targetLength
    if (!fits) long++
    if (fits) fitted.push(example)
    else if (tooLong === 'truncate')
      fitted.push({ inputs: example.inputs.slice(0, inputLength), targets: example.targets.slice(0, targetLength) })
  }
  return { examples: fitted, skipped: tooLong === 'skip' ? long : 0, truncated: tooLong === 'truncate' ? long : 0 }
}

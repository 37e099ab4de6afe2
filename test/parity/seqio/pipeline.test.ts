import { describe, expect, it } from 'vitest'
import { encDecConverter } from '../../../src/data/converters/enc-dec.js'
import type { Dataset } from '../../../src/data/dataset.js'
import type { TokenFields } from '../../../src/data/packing/segments.js'
import { cacheDatasetPlaceholder, seqioPipeline } from '../../../src/data/pipeline.js'
import type { Fields, Preprocessor } from '../../../src/data/preprocessor.js'
import { appendEosAfterTrim } from '../../../src/data/preprocessors/seqio/eos.js'
import { spanCorruption } from '../../../src/data/preprocessors/span-corruption.js'
import { splitTokens } from '../../../src/data/preprocessors/split-tokens.js'
import { allOf, seqioCases, toLists, tokenExamples } from './cases.js'
import type { Lists } from './cases.js'
import { vocabularyOfSize } from './t5-cases.js'

interface Case {
  seed: number
  docs: number[][]
  sequence_length: { inputs: number; targets: number }
  preprocessors: string[]
  shuffle: boolean
  shuffle_buffer_size: number
  num_epochs: number
  vocab_size?: number
  output: Lists[]
  packed: Lists[]
}

/** The preprocessor of a name such as `split_tokens(max_tokens_per_segment=30)`. */
function preprocessorOf(text: string): Preprocessor {
  const [, name, argument] = /^(\w+)(?:\(max_tokens_per_segment=(\d+)\))?$/.exec(text)!
  if (name === 'CacheDatasetPlaceholder') return cacheDatasetPlaceholder()
  if (name === 'span_corruption') return spanCorruption()
  if (name === 'split_tokens') return splitTokens({ maxTokensPerSegment: Number(argument) })
  return appendEosAfterTrim()
}

function examplesOf(c: Case, epochs: number | null = c.num_epochs): Dataset<Fields> {
  const vocabulary = vocabularyOfSize(c.vocab_size ?? 32100)
  return seqioPipeline(tokenExamples(c.docs.map(targets => ({ targets }))), {
    preprocessors: c.preprocessors.map(preprocessorOf),
    features: { inputs: { vocabulary }, targets: { vocabulary } },
    lengths: c.sequence_length,
    seed: c.seed,
    epochs,
    shuffleBufferSize: c.shuffle ? c.shuffle_buffer_size : null,
  })
}

describe("a task's examples", () => {
  it.each(seqioCases<Case[]>('pipeline.json').map((c, i) => [i, c] as const))('case %i', (_, c) => {
    const examples = examplesOf(c) as Dataset<TokenFields>
    expect(allOf(examples).map(toLists)).toEqual(c.output)
    expect(allOf(encDecConverter({ pack: true }).convert(examples, c.sequence_length)).map(toLists)).toEqual(c.packed)
    const backwards = examplesOf(c) as Dataset<TokenFields>
    for (let i = c.output.length - 1; i >= 0; i--) expect(toLists(backwards.get(i))).toEqual(c.output[i])
  })
})

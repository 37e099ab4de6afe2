import { describe, expect, it } from 'vitest'
import { makeTask, taskCodec } from '../task.js'
import { makeVocabularies } from '../tokenizers/tokenizers.js'
import { spreadExamples } from '../dataset.js'
import { quantile } from './lengths.js'
import { packingOf } from './packing.js'

describe('quantile', () => {
  it('is the value that a share of the values does not exceed', () => {
    const values = [5, 1, 4, 2, 3]
    expect([0, 0.5, 0.95, 1].map(share => quantile(values, share))).toEqual([1, 3, 5, 5])
    expect(quantile([], 0.5)).toBeNaN()
  })
})

describe('spreadExamples', () => {
  it('takes examples from all over the data, and the first ones of data without end', () => {
    const numbers = (length: number) => ({ length, get: (i: number) => i })
    expect(spreadExamples(numbers(10), 3)).toEqual([0, 3, 6])
    expect(spreadExamples(numbers(2), 3)).toEqual([0, 1])
    expect(spreadExamples(numbers(Infinity), 3)).toEqual([0, 1, 2])
  })
})

describe('packingOf', () => {
  it('measures the batches of a training', async () => {
    // Each example has 4 + 2 tokens: two fit a row of 9 + 8.
    const examples = Array.from({ length: 40 }, () => ({ input: 'abc', target: 'd', alternatives: [] }))
    const codec = taskCodec(await makeVocabularies({ inputs: 'bytes', targets: 'bytes' }, examples))
    const long = { input: 'x'.repeat(20), target: 'd', alternatives: [] }
    const task = makeTask({ name: 't', codec, splits: { train: [...examples, long], validation: [], test: [] } })
    expect(packingOf(task, { rows: 4, inputLength: 9, targetLength: 8 }, 0)).toEqual({
      buckets: [],
      examplesPerRow: 2,
      inputs: 8 / 9,
      targets: 4 / 8,
      tooLong: 1,
    })
  })
})

import { describe, expect, it } from 'vitest'
import { datasetOf } from '../dataset.js'
import { stackRows } from './batch.js'
import { encDecConverter } from './enc-dec.js'

const examples = datasetOf([
  { inputs: Int32Array.of(5, 6, 1), targets: Int32Array.of(7, 1) },
  { inputs: Int32Array.of(8, 1), targets: Int32Array.of(9, 1) },
])

describe('a feature converter', () => {
  it('names the lengths that it needs', () => {
    expect(() => encDecConverter().convert(examples, { inputs: 4 })).toThrow(
      'EncDec needs the lengths of exactly the features inputs, targets; given are inputs',
    )
    expect(() => encDecConverter().modelFeatureLengths({})).toThrow(/given are none/)
  })

  it('names an example that is longer than a row or lacks a feature', () => {
    expect(() => encDecConverter().convert(examples, { inputs: 2, targets: 4 }).get(0)).toThrow(
      'the feature "inputs" of example 0 has 3 tokens, its row 2: trim the examples or raise the length',
    )
    const half = datasetOf([{ inputs: Int32Array.of(1) }])
    expect(() => encDecConverter({ pack: false }).convert(half, { inputs: 2, targets: 4 }).get(0)).toThrow(
      'example 0 has no feature "targets", which EncDec needs',
    )
  })

  it("makes rows that stack to the model's batch", () => {
    const rows = encDecConverter().convert(examples, { inputs: 6, targets: 3 })
    const batch = stackRows([rows.get(0), rows.get(1)])
    expect(Object.values(batch).map(({ dtype, shape }) => [dtype, shape])).toEqual([
      ['int32', [2, 6]],
      ['int32', [2, 3]],
      ['int32', [2, 3]],
      ['float32', [2, 3]],
      ['int32', [2, 6]],
      ['int32', [2, 3]],
    ])
    expect(batch.decoder_input_tokens.data).toEqual(Int32Array.of(0, 7, 0, 0, 9, 0))
  })
})

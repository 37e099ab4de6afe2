import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { TokenFields } from './segments.js'
import { PackedDataset } from './trim-and-pack.js'

const example = (index: number): TokenFields => ({ inputs: new Int32Array(1 + (index % 5)).fill(10 + index) })
const endless: Dataset<TokenFields> = { length: Infinity, get: example }
const many = datasetOf(Array.from({ length: 100 }, (_, i) => example(i)))

describe('PackedDataset', () => {
  it('gives the same rows in any order', () => {
    for (const useCustomOps of [false, true]) {
      const forward = new PackedDataset(many, { inputs: 8 }, { useCustomOps })
      const rows = Array.from({ length: forward.length }, (_, i) => forward.row(i))
      const backward = new PackedDataset(many, { inputs: 8 }, { useCustomOps })
      for (let i = rows.length - 1; i >= 0; i--) expect(backward.row(i)).toEqual(rows[i])
      expect(rows.flatMap(row => row.members).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    }
  })

  it('reads only the examples of the block that is asked for', () => {
    const read: number[] = []
    const counted: Dataset<TokenFields> = {
      length: Infinity,
      get(index) {
        read.push(index)
        return example(index)
      },
    }
    const rows = new PackedDataset(counted, { inputs: 8 }).block(1000)
    expect(read).toEqual(Array.from({ length: 8 }, (_, i) => 8000 + i))
    expect(rows[0].members[0]).toBe(8000)
  })

  it('packs examples that repeat for ever', () => {
    const packed = new PackedDataset(endless, { inputs: 8 })
    expect(packed.length).toBe(Infinity)
    expect(packed.row(0).members).toEqual([0, 1, 2])
    expect(packed.get(1000).inputs.length).toBe(8)
  })

  it('has no rows without examples, and none past its end', () => {
    expect(new PackedDataset(datasetOf([]), { inputs: 8 }).length).toBe(0)
    expect(() => new PackedDataset(datasetOf([]), { inputs: 8 }).get(0)).toThrow(/there is no example 0/)
    const packed = new PackedDataset(many, { inputs: 8 })
    expect(() => packed.get(packed.length)).toThrow(/there is no example/)
  })

  it('refuses an example without a feature, and lengths that no row can have', () => {
    const packed = new PackedDataset(datasetOf([{ targets: Int32Array.of(1) }]), { inputs: 8 })
    expect(() => packed.get(0)).toThrow(/example 0 has no feature "inputs"/)
    for (const lengths of [{ inputs: 0 }, { inputs: 1.5 }, {}])
      expect(() => new PackedDataset(datasetOf([]), lengths as Record<string, number>)).toThrow(ConfigError)
  })
})

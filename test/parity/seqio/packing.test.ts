import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PackedDataset } from '../../../src/data/packing/trim-and-pack.js'
import { seqioCases, tokenExamples, toLists } from './cases.js'
import type { Lists } from './cases.js'

interface Packed {
  num_rows: number
  members: number[][]
  sha256: Record<string, string>
  first_rows: Lists[]
  last_row: Lists
}

interface PackingCase {
  what: string
  feature_lengths: Record<string, number>
  input: Lists[]
  tf?: Packed
  custom?: Packed
}

describe('trim_and_pack_dataset', () => {
  for (const { what, feature_lengths, input, ...results } of seqioCases<PackingCase[]>('packing.json')) {
    for (const [algorithm, expected] of Object.entries(results)) {
      it(`${what}, ${algorithm}`, () => {
        const packed = new PackedDataset(tokenExamples(input), feature_lengths, {
          useCustomOps: algorithm === 'custom',
        })
        const rows = Array.from({ length: packed.length }, (_, i) => packed.row(i))
        expect(rows.length).toBe(expected.num_rows)
        expect(rows.map(({ members }) => members)).toEqual(expected.members)
        const first = rows.slice(0, expected.first_rows.length).map(({ features }) => toLists(features))
        expect(first).toEqual(expected.first_rows)
        expect(toLists(rows[rows.length - 1].features)).toEqual(expected.last_row)
        for (const [name, sha256] of Object.entries(expected.sha256)) {
          const hash = createHash('sha256')
          for (const { features } of rows) hash.update(features[name])
          expect([name, hash.digest('hex')]).toEqual([name, sha256])
        }
      })
    }
  }
})

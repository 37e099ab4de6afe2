import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShapeError } from '../base/errors.js'
import { toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { TokenExample } from './features.js'
import { packBatch } from './open-rows.js'

const rowsOf = (tensor: HostTensor): number[][] => {
  const [rows, length] = tensor.shape
  const numbers = toNumbers(tensor)
  return Array.from({ length: rows }, (_, r) => numbers.slice(r * length, (r + 1) * length))
}

const numbered = (features: object): Record<string, number[][]> =>
  Object.fromEntries(Object.entries(features).map(([name, tensor]) => [name, rowsOf(tensor as HostTensor)]))

const tokens = (inputs: number[], targets: number[]): TokenExample => ({
  inputs: Int32Array.from(inputs),
  targets: Int32Array.from(targets),
})

describe('packBatch', () => {
  it('lays examples one after the other, first fit', () => {
    const examples = [
      tokens([10, 11, 1], [20, 1]),
      tokens([12, 13, 1], [21, 22, 1]),
      tokens([14, 1], [23, 1]),
      tokens([15, 1], [24, 25, 1]),
    ]
    const { features, packed, rest } = packBatch(examples, { rows: 2, inputLength: 5, targetLength: 6 })
    expect(numbered(features)).toEqual({
      encoder_input_tokens: [
        [10, 11, 1, 14, 1],
        [12, 13, 1, 15, 1],
      ],
      encoder_segment_ids: [
        [1, 1, 1, 2, 2],
        [1, 1, 1, 2, 2],
      ],
      decoder_target_tokens: [
        [20, 1, 23, 1, 0, 0],
        [21, 22, 1, 24, 25, 1],
      ],
      decoder_input_tokens: [
        [0, 20, 0, 23, 0, 0],
        [0, 21, 22, 0, 24, 25],
      ],
      decoder_loss_weights: [
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1],
      ],
      decoder_segment_ids: [
        [1, 1, 2, 2, 0, 0],
        [1, 1, 1, 2, 2, 2],
      ],
    })
    expect([packed, rest]).toEqual([4, []])
    for (const [name, tensor] of Object.entries(features)) {
      expect((tensor as HostTensor).dtype).toBe(name === 'decoder_loss_weights' ? 'float32' : 'int32')
    }
  })

  it('refuses an example that can never fit', () => {
    const size = { rows: 1, inputLength: 2, targetLength: 2 }
    expect(() => packBatch([tokens([3, 3, 1], [1])], size)).toThrow(ShapeError)
    expect(() => packBatch([tokens([], [1])], size)).toThrow(/at least one token/)
  })

  const size = { rows: 3, inputLength: 8, targetLength: 6 }
  const side = (longest: number) =>
    fc.array(fc.integer({ min: 2, max: 99 }), { maxLength: longest - 1 }).map(ids => Int32Array.from([...ids, 1]))
  const anyExamples = fc.array(fc.record({ inputs: side(size.inputLength), targets: side(size.targetLength) }), {
    maxLength: 30,
  })

  it('loses, changes and mixes no example, for random examples', () => {
    fc.assert(
      fc.property(anyExamples, examples => {
        const { features, packed, rest } = packBatch(examples, size)
        const f = numbered(features)
        const found: TokenExample[] = []
        for (let row = 0; row < size.rows; row++) {
          const segments = Math.max(...f.encoder_segment_ids[row], ...f.decoder_segment_ids[row])
          for (let k = 1; k <= segments; k++) {
            const pick = (values: number[], ids: number[]) => values.filter((_, i) => ids[i] === k)
            const inputs = pick(f.encoder_input_tokens[row], f.encoder_segment_ids[row])
            const targets = pick(f.decoder_target_tokens[row], f.decoder_segment_ids[row])
            expect(pick(f.decoder_input_tokens[row], f.decoder_segment_ids[row])).toEqual([0, ...targets.slice(0, -1)])
            found.push(tokens(inputs, targets))
          }
          for (const s of ['encoder', 'decoder'] as const) {
            const tokens = f[s === 'encoder' ? 'encoder_input_tokens' : 'decoder_target_tokens'][row]
            const ids = f[`${s}_segment_ids`][row]
            // Segments are in order, padding is at the end, and padding is 0 in every feature.
            expect(ids.filter(id => id > 0)).toEqual(ids.filter(id => id > 0).sort((a, b) => a - b))
            expect(ids.slice(ids.indexOf(0) < 0 ? ids.length : ids.indexOf(0)).every(id => id === 0)).toBe(true)
            expect(tokens.map(t => t > 0)).toEqual(ids.map(id => id > 0))
          }
          expect(f.decoder_loss_weights[row]).toEqual(f.decoder_target_tokens[row].map(t => (t > 0 ? 1 : 0)))
          expect(f.decoder_input_tokens[row].every((t, i) => f.decoder_segment_ids[row][i] > 0 || t === 0)).toBe(true)
        }
        expect(found.length).toBe(packed)
        const key = (e: TokenExample) => `${e.inputs} ${e.targets}`
        expect([...found, ...rest].map(key).sort()).toEqual(examples.map(key).sort())
      }),
    )
  })

  it('leaves out an example only if no row has room for it', () => {
    fc.assert(
      fc.property(anyExamples, examples => {
        const { features, rest } = packBatch(examples, size)
        const f = numbered(features)
        const room = (name: string) => f[name].map(ids => ids.filter(id => id === 0).length)
        const inputRoom = room('encoder_segment_ids')
        const targetRoom = room('decoder_segment_ids')
        for (const { inputs, targets } of rest) {
          expect(inputRoom.some((free, row) => inputs.length <= free && targets.length <= targetRoom[row])).toBe(false)
        }
      }),
    )
  })
})

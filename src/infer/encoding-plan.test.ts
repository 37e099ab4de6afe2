import { describe, expect, it } from 'vitest'
import { smallSizes } from '../../test/small-model.js'
import { preset } from '../model/presets.js'
import type { ForwardOptions } from '../model/types.js'
import { planEncoding } from './encoding-plan.js'

const { model, router } = preset('switch-base-8')
const options: ForwardOptions = { config: { ...model, ...smallSizes, reference: 'switchyard' }, router, mode: 'eval' }
const t5Small: ForwardOptions = {
  ...options,
  config: {
    ...options.config,
    dModel: 512,
    dFf: 2048,
    numHeads: 8,
    headDim: 64,
    numEncoderLayers: 6,
    numDecoderLayers: 6,
    encoderSparseLayers: [],
  },
}
const input = (length: number): number[] => new Array<number>(length).fill(5)

describe('planEncoding', () => {
  it('encodes short inputs in one slice, longer ones stage by stage, and long ones in parts', () => {
    const shapeOf = (length: number): [parts: number, ranges: number] => {
      const { parts, ranges } = planEncoding([input(length)], t5Small)
      return [parts.length, ranges.length]
    }
    expect([16, 256, 1024, 2048, 4096].map(shapeOf)).toEqual([
      [1, 1],
      [1, 1],
      [1, 4],
      [2, 8],
      [4, 8],
    ])
  })

  it('covers all positions and stages once', () => {
    for (const length of [1, 90, 200])
      for (const most of [1, 1e6, 4e6, 1e12]) {
        const { length: padded, parts, ranges } = planEncoding([input(length), input(3)], options, most)
        expect(padded).toBe(Math.ceil(length / 16) * 16)
        expect(parts.flatMap(({ first, end }) => [first, end])).toEqual([
          0,
          ...parts.slice(1).flatMap(({ first }) => [first, first]),
          padded,
        ])
        expect(ranges.flatMap(({ first, end }) => [first, end])).toEqual([
          0,
          ...ranges.slice(1).flatMap(({ first }) => [first, first]),
          4,
        ])
      }
  })

  it('does not divide inputs whose tokens experts compare, or may drop', () => {
    const partsOf = (changed: Partial<ForwardOptions>): number =>
      planEncoding([input(200)], { ...options, ...changed }, 1).parts.length
    expect(partsOf({})).toBe(4)
    expect(partsOf({ router: { ...router, kind: 'expertsChoose', decoderKind: 'tokensChoose' } })).toBe(1)
    expect(partsOf({ config: { ...options.config, reference: 'hf' } })).toBe(1)
    // A dense encoder has no experts.
    expect(partsOf({ config: { ...options.config, reference: 'hf', encoderSparseLayers: [] } })).toBe(4)
  })
})

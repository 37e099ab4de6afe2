import { describe, expect, it } from 'vitest'
import { countActiveParameters, countParameters, declareParameters } from './parameters.js'
import { preset, presets } from './presets.js'

const count = (name: string): number => {
  const { model, router } = preset(name)
  return countParameters(declareParameters(model, router))
}

describe('parameter declarations', () => {
  it.each([
    ['switch-base-8', 619_339_008],
    ['switch-xxl-128', 394_675_073_024],
    ['switch-c-2048', 1_571_327_875_360],
    ['t5-1.0-small', 60_506_624],
    ['t5-1.1-small', 76_961_152],
    ['t5-1.1-base', 247_577_856],
  ])('%s has %i parameters', (name, expected) => {
    expect(count(name)).toBe(expected)
  })

  it('are all different, and exact in a JS number', () => {
    for (const { model, router } of presets.values()) {
      const specs = declareParameters(model, router)
      expect(new Set(specs.map(s => s.path)).size).toBe(specs.length)
      expect(Number.isSafeInteger(countParameters(specs))).toBe(true)
      for (const s of specs) expect(s.axes.length).toBe(s.shape.length)
    }
  })

  it('of one expert are active: as many as in the dense model of the same size, and the routers', () => {
    const { model, router } = preset('switch-base-128')
    const dense = { ...model, encoderSparseEvery: 0, decoderSparseEvery: 0 }
    const routers = 12 * 768 * 128
    expect(countActiveParameters(declareParameters(model, router))).toBe(
      countParameters(declareParameters(dense, router)) + routers,
    )
  })

  it('have a table of relative position biases for each stack, or for each layer', () => {
    const { model, router } = preset('switch-base-8')
    const tables = (relativePositionBias: 'perStack' | 'perLayer'): string[] =>
      declareParameters({ ...model, relativePositionBias }, router)
        .map(s => s.path)
        .filter(path => path.includes('relpos_bias'))
    expect(tables('perStack')).toEqual(['encoder/relpos_bias/rel_embedding', 'decoder/relpos_bias/rel_embedding'])
    expect(tables('perLayer').length).toBe(24)
    expect(tables('perLayer').at(-1)).toBe('decoder/layers_11/relpos_bias/rel_embedding')
  })

  it('suggests the nearest preset', () => {
    expect(() => preset('switch-base8')).toThrow('did you mean switch-base-8?')
  })
})

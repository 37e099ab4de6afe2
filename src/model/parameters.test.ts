import { describe, expect, it } from 'vitest'
import { countActiveParameters, countParameters, declareParameters } from './parameters.js'
import type { ParameterRole } from './parameters.js'
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

  it('have distinct paths, and counts that are exact as JS numbers', () => {
    for (const { model, router } of presets.values()) {
      const specs = declareParameters(model, router)
      expect(new Set(specs.map(s => s.path)).size).toBe(specs.length)
      expect(Number.isSafeInteger(countParameters(specs))).toBe(true)
      for (const s of specs) expect(s.axes.length).toBe(s.shape.length)
    }
  })

  it('of one expert are active: as many as in the dense model of the same size, and the routers', () => {
    const { model, router } = preset('switch-base-128')
    const dense = { ...model, encoderSparseLayers: [], decoderSparseLayers: [] }
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

describe('the role and place of a parameter', () => {
  const { model, router } = preset('switch-xxl-128')
  const specs = declareParameters({ ...model, numEncoderLayers: 2, numDecoderLayers: 2 }, { ...router, bias: true })
  const count = (role: ParameterRole): number => specs.filter(s => s.role === role).length

  it('tell what the parameter is used for', () => {
    const roles = { embedding: 1, outputProjection: 1, relativePositionBias: 2, norm: 12, router: 2, routerBias: 2 }
    for (const [role, expected] of Object.entries(roles)) expect(count(role as ParameterRole), role).toBe(expected)
    expect([count('kernel'), count('expertKernel')]).toEqual([6 * 4 + 2 * 3, 2 * 3])
  })

  it('are those that its path says', () => {
    for (const { path, role, place, axes } of specs) {
      expect(path.startsWith(`${place.stack}/`), path).toBe(place.stack !== null)
      expect(path.includes(`/layers_${place.layer}/`), path).toBe(place.layer !== null)
      expect(path.includes(`/${place.projection}/kernel`), path).toBe(role === 'kernel' || role === 'expertKernel')
      expect(axes.includes('expert'), path).toBe(role === 'expertKernel')
      expect(place.sublayer === 'crossAttention', path).toBe(/encoder_decoder_attention|pre_cross/.test(path))
    }
  })
})

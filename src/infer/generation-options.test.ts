import { describe, expect, it } from 'vitest'
import { unsupportedFor, withDefaults } from './generation-options.js'

describe("a user's options and a model's defaults", () => {
  const beams = { numBeams: 4, numReturned: 2, lengthPenalty: 0.6 }
  const samples = { doSample: true, topK: 20, temperature: 0.7 }

  it('take from the defaults what the user leaves open', () => {
    const defaults = { ...beams, maxNewTokens: 30, minNewTokens: 3, noRepeatNgram: 3 }
    const all = withDefaults({ lengthPenalty: 2, noRepeatNgram: undefined }, defaults, 50)
    expect(all).toMatchObject({ ...defaults, lengthPenalty: 2, doSample: false })
    expect(withDefaults({}, samples, 50)).toMatchObject({ ...samples, maxNewTokens: 50 })
  })

  it('hold the lengths of the defaults within those of the user and of the loaded model', () => {
    const defaults = { maxNewTokens: 30, minNewTokens: 10 }
    expect(withDefaults({ maxNewTokens: 40 }, defaults, 50).maxNewTokens).toBe(40)
    expect(withDefaults({}, defaults, 20).maxNewTokens).toBe(20)
    expect(withDefaults({ maxNewTokens: 4 }, defaults, 50)).toMatchObject({ maxNewTokens: 4, minNewTokens: 4 })
    expect(withDefaults({ minNewTokens: 0 }, defaults, 50).minNewTokens).toBe(0)
  })

  it('take no beams from the defaults where the user samples or wants one beam', () => {
    for (const options of [{ temperature: 1 }, { seed: 1 }, { doSample: true }, { numBeams: 1 }, { doSample: false }]) {
      const { numBeams = 1, numReturned = 1 } = withDefaults(options, beams, 50)
      expect([numBeams, numReturned]).toEqual([1, 1])
    }
    expect(withDefaults({ temperature: 1 }, { topK: 7 }, 50)).toMatchObject({ doSample: true, topK: 7 })
  })

  it('do not sample where the user wants beams, or none', () => {
    for (const options of [{ numBeams: 3 }, { doSample: false }]) {
      const all = withDefaults(options, samples, 50)
      expect(all.doSample).toBe(false)
      expect(all.topK).toBeUndefined()
    }
    expect(withDefaults({}, { topK: 7, minP: 0.2 }, 50)).not.toHaveProperty('topK')
  })

  it('are refused if they contradict each other', () => {
    expect(() => withDefaults({ doSample: false, topK: 3 }, {}, 50)).toThrow('doSample is false')
  })

  it('never contradict each other if they are the defaults', () => {
    expect(withDefaults({}, { ...beams, ...samples }, 50)).toMatchObject({ ...beams, ...samples })
    expect(withDefaults({ numBeams: 2, topK: 3 }, {}, 50)).toMatchObject({ numBeams: 2, topK: 3, doSample: true })
    expect(withDefaults({}, { numBeams: 2, numReturned: 5 }, 50).numReturned).toBe(2)
    expect(withDefaults({}, { numReturned: 5 }, 50).numReturned ?? 1).toBe(1)
    expect(withDefaults({}, { numReturned: 5, doSample: true }, 50).numReturned).toBe(5)
  })

  it('are turned off by values without an effect', () => {
    const all = withDefaults({ topK: 0, noRepeatNgram: 0, repetitionPenalty: 1 }, { ...samples, noRepeatNgram: 2 }, 50)
    for (const name of ['topK', 'noRepeatNgram', 'repetitionPenalty']) expect(all).not.toHaveProperty(name)
    expect(all).toMatchObject({ temperature: 0.7, doSample: true })
  })

  it('name the unsupported settings that matter to an answer', () => {
    const unsupported = {
      temperature: '0',
      length_penalty: '"a"',
      max_length: '1',
      num_beams: '0',
      guidance_scale: '2.0',
    }
    const named = (...[given, defaults]: [object, object?]): readonly string[] =>
      unsupportedFor(given, { unsupported, ...defaults })
    expect(named({})).toEqual(['max_length', 'num_beams', 'guidance_scale'])
    expect(named({ maxNewTokens: 3, doSample: false })).toEqual(['guidance_scale'])
    expect(named({ topK: 3 })).toEqual(['temperature', 'max_length', 'guidance_scale'])
    expect(named({ temperature: 0.5 })).toEqual(['max_length', 'guidance_scale'])
    expect(named({ numBeams: 2 })).toEqual(['length_penalty', 'max_length', 'guidance_scale'])
    expect(named({}, { doSample: true })).toContain('temperature')
    expect(unsupportedFor({}, {})).toEqual([])
  })
})

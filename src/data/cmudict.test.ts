import { describe, expect, it } from 'vitest'
import { examplesFromDictionary, LETTERS, loadCmudict, PHONEMES } from './cmudict.js'
import { splitExamples } from './example.js'
import { codePoints, sortedSymbols, splitWords } from '../text/symbols.js'

describe('the CMU Pronouncing Dictionary', async () => {
  const examples = await loadCmudict()
  const find = (word: string) => examples.find(e => e.input === word)

  it('has 124,095 plain words', () => {
    expect(examples.length).toBe(124_095)
    expect(new Set(examples.map(e => e.input)).size).toBe(124_095)
    expect(examples.reduce((n, e) => n + e.alternatives.length, 0)).toBe(8_665)
  })

  it('splits into 116,611 + 1,258 + 6,226', () => {
    const { train, validation, test } = splitExamples(examples)
    expect([train.length, validation.length, test.length]).toEqual([116_611, 1_258, 6_226])
  })

  it('uses exactly the letters and phonemes that are declared', () => {
    expect(
      sortedSymbols(
        examples.map(e => e.input),
        codePoints,
      ),
    ).toEqual(LETTERS)
    const spoken = examples.flatMap(e => [e.target, ...e.alternatives])
    expect(sortedSymbols(spoken, splitWords)).toEqual(PHONEMES)
    expect(PHONEMES.length).toBe(39)
  })

  it('drops stress and comments, and gathers alternatives', () => {
    expect(find('aalborg')).toEqual({ input: 'aalborg', target: 'AO L B AO R G', alternatives: ['AA L B AO R G'] })
    expect(find('tomato')).toEqual({ input: 'tomato', target: 'T AH M EY T OW', alternatives: ['T AH M AA T OW'] })
    // Words that every JavaScript object also has.
    expect(find('constructor')?.target).toBe('K AH N S T R AH K T ER')
  })

  it('leaves out entries that are not plain words', () => {
    for (const word of ['a.m.', "'cause", "actors'", 'able-bodied', 'a(2)']) expect(find(word)).toBeUndefined()
    expect(find("o'clock")?.target).toBe('AH K L AA K')
  })
})

describe('examplesFromDictionary', () => {
  it('accepts an alternate before its word, once, and only if it differs without stress', () => {
    const dictionary = { 'b(2)': 'B IY1', b: 'B IY0 # letter', 'b(3)': 'B AH1', 'b(4)': 'B AH0', 'c(2)': 'S IY1' }
    expect(examplesFromDictionary(dictionary)).toEqual([{ input: 'b', target: 'B IY', alternatives: ['B AH'] }])
  })
})

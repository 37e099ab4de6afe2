import { describe, expect, it } from 'vitest'
import { datasetOf } from './dataset.js'
import { fitLengths, tokenize } from './features.js'
import type { TokenExample } from './features.js'
import { CharacterVocabulary } from '../text/symbols.js'

const tokens = (inputs: number[], targets: number[]): TokenExample => ({
  inputs: Int32Array.from(inputs),
  targets: Int32Array.from(targets),
})

describe('tokenize', () => {
  it('ends both sides with EOS', () => {
    const vocabulary = CharacterVocabulary.fromTexts(['abc'])
    expect(tokenize({ inputs: vocabulary, targets: vocabulary }, { input: 'ab', target: '' })).toEqual(
      tokens([3, 4, 1], [1]),
    )
  })
})

describe('fitLengths', () => {
  const fits = tokens([3, 1], [4, 1])
  const longInput = tokens([3, 3, 3, 1], [4, 1])
  const longTarget = tokens([3, 1], [4, 4, 4, 1])
  const size = { inputLength: 3, targetLength: 2 }

  it('skips long examples and counts them', () => {
    expect(fitLengths(datasetOf([longInput, fits, longTarget]), size, 'skip')).toEqual({
      examples: [fits],
      skipped: 2,
      truncated: 0,
    })
  })

  it('truncates long examples and counts them', () => {
    expect(fitLengths(datasetOf([longInput, fits, longTarget]), size, 'truncate')).toEqual({
      examples: [tokens([3, 3, 3], [4, 1]), fits, tokens([3, 1], [4, 4])],
      skipped: 0,
      truncated: 2,
    })
  })
})

import { describe, expect, it } from 'vitest'
import { tokenize } from './features.js'
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

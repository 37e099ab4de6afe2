import { describe, expect, it } from 'vitest'
import { bleuTokenizers } from './tokenizers.js'

/** Expected values are those of sacrebleu 2.3.1. */
describe('tokenizers of BLEU', () => {
  const text = 'It costs $1,000.50-5 (&lt;5%), “já” 猫です—№2.'

  it.each([
    ['intl', 'It costs $ 1,000.50-5 ( & lt ; 5 % ) , “ já ” 猫です — № 2.'],
    ['13a', 'It costs $ 1,000.50 - 5 ( < 5 % ) , “já” 猫です—№2 .'],
    ['zh', 'It costs $ 1,000.50 - 5 ( & lt ; 5 % ) , “ já ” 猫 です — № 2.'],
    ['none', 'It costs $1,000.50-5 (&lt;5%), “já” 猫です—№2.'],
    ['char', Array.from(text.replaceAll(' ', '')).join(' ')],
  ] as const)('%s', (name, expected) => {
    expect(bleuTokenizers[name](text).join(' ')).toBe(expected)
  })
})

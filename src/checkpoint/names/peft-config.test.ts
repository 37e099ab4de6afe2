import { describe, expect, it } from 'vitest'
import { parsePeftConfig } from './peft-config.js'

const read = (rank_pattern: Record<string, number>, alpha_pattern: Record<string, number> = {}) =>
  parsePeftConfig({ peft_type: 'LORA', r: 8, lora_alpha: 16, rank_pattern, alpha_pattern }, 'adapter_config.json')

const module = 'encoder.block.0.layer.0.SelfAttention.q'

describe('the patterns of an adapter', () => {
  it('match the end of a module name, the first that matches first', () => {
    const config = read({ 'decoder.*q': 2, 'block\\.[0-3]\\..*\\.q': 4, q: 5 }, { q: 2 })
    expect([config.rankOf(module), config.scaleOf(module)]).toEqual([4, 0.5])
    expect(config.rankOf('encoder.block.5.layer.0.SelfAttention.q')).toBe(5)
    expect(config.rankOf('encoder.block.5.layer.0.SelfAttention.qq')).toBe(8)
  })

  it('take time linear in the name', () => {
    const began = performance.now()
    expect(read({ '([a-zA-Z0-9.]+)+!': 4 }).rankOf(module.slice(0, 29))).toBe(8)
    expect(performance.now() - began).toBeLessThan(1000)
  })

  it('are refused with the setting and the file, before a module is looked at', () => {
    expect(() => read({ '(q': 4 })).toThrow('adapter_config.json: "(q" in rank_pattern is no regular expression')
    expect(() => read({}, { '(?=q)q': 4 })).toThrow('"(?=q)q" in alpha_pattern is no regular expression')
    expect(() => read({ '((q{1000}){1000}){1000}': 4 })).toThrow('in rank_pattern is no regular expression')
    expect(() => read({ [`q${'q?'.repeat(600)}`]: 4 })).toThrow('has 1201 characters, more than 1000')
  })
})

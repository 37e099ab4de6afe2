import { describe, expect, it } from 'vitest'
import { findPattern, matchesPath } from './patterns.js'

describe('patterns of parameter paths', () => {
  it('match names in a row anywhere, with * for any text in a name', () => {
    const path = 'encoder/layers_1/mlp/wi/kernel'
    expect(['wi', 'mlp/wi', 'layers_*', '*'].map(pattern => matchesPath(pattern, path))).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(['w', 'mlp/kernel', 'layers_*/wi'].map(pattern => matchesPath(pattern, path))).toEqual([false, false, false])
    expect(findPattern('layers_*/mlp', path)).toEqual({ at: 1, length: 2, wildcards: ['1'] })
  })

  it('take every other character as it is', () => {
    expect(matchesPath('a-b.c(+)', 'x/a-b.c(+)/y')).toBe(true)
    expect(matchesPath('a.b', 'a-b')).toBe(false)
  })
})

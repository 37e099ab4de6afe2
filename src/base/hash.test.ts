import { describe, expect, it } from 'vitest'
import { hashText, mix32 } from './hash.js'

// If one of these changes, every split and every resumed run changes: do not update the values.
describe('never changes', () => {
  it('hashText', () => {
    expect(['', 'a', 'switchyard', 'transformer', 'é'].map(hashText)).toEqual([
      2872998923, 444641715, 533657755, 3806470228, 3136788073,
    ])
  })

  it('mix32', () => {
    expect([0, 1, 0xffffffff].map(mix32)).toEqual([0, 1364076727, 2180083513])
  })
})

import { describe, expect, it } from 'vitest'
import { ShapeError } from '../base/errors.js'
import { sequenceErrorRates } from './error-rates.js'
import { codePoints } from '../text/symbols.js'

const example = (target: string, ...alternatives: string[]) => ({ target, alternatives })

describe('sequenceErrorRates', () => {
  it('sums over the corpus before it divides', () => {
    const rates = sequenceErrorRates(['K AE T', 'D AO', 'B'], [example('K AE T'), example('D AO G Z'), example('P')])
    expect(rates).toEqual({ per: 3 / 8, wer: 2 / 3, examples: 3, wrong: 2, edits: 3, referenceSymbols: 8 })
    expect(
      sequenceErrorRates(['K AE T', 'D AO', 'B'], [example('K AE T'), example('D AO G Z'), example('P')]).per,
    ).toBe(3 / 8)
  })

  it('counts an alternative as right, and measures against the nearest', () => {
    expect(sequenceErrorRates(['T AH M AA T OW'], [example('T AH M EY T OW', 'T AH M AA T OW')]).wer).toBe(0)
    // One edit from the alternative of length 2, three from the target of length 4.
    expect(sequenceErrorRates(['A C'], [example('D E F G', 'A B')])).toMatchObject({ per: 1 / 2, wrong: 1 })
    // As near to both: the target's length counts.
    expect(sequenceErrorRates(['A B'], [example('A B C', 'A')])).toMatchObject({ edits: 1, referenceSymbols: 3 })
  })

  it('does not care for spacing, and can count characters', () => {
    expect(sequenceErrorRates([' A  B '], [example('A B')]).wrong).toBe(0)
    expect(sequenceErrorRates(['went'], [example('wend')], codePoints)).toMatchObject({ per: 1 / 4, wer: 1 })
  })

  it('counts an empty prediction as all wrong, and can pass 1', () => {
    expect(sequenceErrorRates([''], [example('A B')])).toMatchObject({ per: 1, wer: 1 })
    expect(sequenceErrorRates(['A B C'], [example('D')]).per).toBe(3)
  })

  it('has no rate without examples, and refuses unequal numbers', () => {
    expect(sequenceErrorRates([], []).per).toBeNaN()
    expect(() => sequenceErrorRates(['a'], [])).toThrow(ShapeError)
  })
})

import { describe, expect, it } from 'vitest'
import { ShapeError } from '../base/errors.js'
import { codePoints, splitWords } from '../text/symbols.js'
import { symbolErrorRate, wrongAnswerRate } from './error-rates.js'

const example = (target: string, ...alternatives: string[]) => ({ target, alternatives })
const per = symbolErrorRate('phoneme error rate', splitWords)
const wer = wrongAnswerRate('word error rate', splitWords)

describe('error rates', () => {
  it('sum edits and lengths over all examples before they divide', () => {
    const predictions = ['K AE T', 'D AO', 'B']
    const answers = [example('K AE T'), example('D AO G Z'), example('P')]
    expect(per.compute(predictions, answers)).toBe(3 / 8)
    expect(wer.compute(predictions, answers)).toBe(2 / 3)
    expect(per.format(3 / 8)).toBe('37.5%')
  })

  it('accept every right answer, and count edits from the nearest one', () => {
    const tomato = [example('T AH M EY T OW', 'T AH M AA T OW')]
    expect([per, wer].map(metric => metric.compute(['T AH M AA T OW'], tomato))).toEqual([0, 0])
    // One edit from the alternative of length 2, three from the target of length 4.
    expect([per, wer].map(metric => metric.compute(['A C'], [example('D E F G', 'A B')]))).toEqual([1 / 2, 1])
    // One edit from both: the target's length counts.
    expect(per.compute(['A B'], [example('A B C', 'A')])).toBe(1 / 3)
  })

  it('ignore the spacing of words, and can count characters', () => {
    expect(wer.compute([' A  B '], [example('A B')])).toBe(0)
    expect(symbolErrorRate('', codePoints).compute(['went'], [example('wend')])).toBe(1 / 4)
    expect(wrongAnswerRate('', codePoints).compute(['went'], [example('wend')])).toBe(1)
    // Symbols are compared one by one, not joined.
    expect(wer.compute(['A B'], [example('AB')])).toBe(1)
  })

  it('count an empty prediction as all wrong, and can exceed 1', () => {
    expect([per, wer].map(metric => metric.compute([''], [example('A B')]))).toEqual([1, 1])
    expect(per.compute(['A B C'], [example('D')])).toBe(3)
  })

  it('are NaN without examples, and refuse a wrong number of predictions', () => {
    for (const metric of [per, wer]) {
      expect(metric.compute([], [])).toBeNaN()
      expect(() => metric.compute(['a'], [])).toThrow(ShapeError)
    }
  })
})

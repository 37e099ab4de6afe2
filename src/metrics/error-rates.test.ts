import { describe, expect, it } from 'vitest'
import { ShapeError } from '../base/errors.js'
import { codePoints, splitWords } from '../text/symbols.js'
import type { AcceptedAnswers, Metric } from './metric.js'
import { symbolErrorRate, wrongAnswerRate } from './error-rates.js'

const example = (target: string, ...alternatives: string[]) => ({ target, alternatives })
const per = symbolErrorRate('phoneme error rate', splitWords)
const wer = wrongAnswerRate('word error rate', splitWords)
const rateOf = (metric: Metric<AcceptedAnswers, string>) => (targets: AcceptedAnswers[], predictions: string[]) =>
  metric.compute(targets, predictions)[metric.name]
const [perOf, werOf] = [per, wer].map(rateOf)

describe('error rates', () => {
  it('sum edits and lengths over all examples before they divide', () => {
    const predictions = ['K AE T', 'D AO', 'B']
    const answers = [example('K AE T'), example('D AO G Z'), example('P')]
    expect(perOf(answers, predictions)).toBe(3 / 8)
    expect(werOf(answers, predictions)).toBe(2 / 3)
    expect(per.format(3 / 8, per.name)).toBe('37.5%')
  })

  it('accept every right answer, and count edits from the nearest one', () => {
    const tomato = [example('T AH M EY T OW', 'T AH M AA T OW')]
    expect([perOf, werOf].map(rate => rate(tomato, ['T AH M AA T OW']))).toEqual([0, 0])
    // One edit from the alternative of length 2, three from the target of length 4.
    expect([perOf, werOf].map(rate => rate([example('D E F G', 'A B')], ['A C']))).toEqual([1 / 2, 1])
    // One edit from both: the target's length counts.
    expect(perOf([example('A B C', 'A')], ['A B'])).toBe(1 / 3)
  })

  it('ignore the spacing of words, and can count characters', () => {
    expect(werOf([example('A B')], [' A  B '])).toBe(0)
    expect(rateOf(symbolErrorRate('', codePoints))([example('wend')], ['went'])).toBe(1 / 4)
    expect(rateOf(wrongAnswerRate('', codePoints))([example('wend')], ['went'])).toBe(1)
    // Symbols are compared one by one, not joined.
    expect(werOf([example('AB')], ['A B'])).toBe(1)
  })

  it('count an empty prediction as all wrong, and can exceed 1', () => {
    expect([perOf, werOf].map(rate => rate([example('A B')], ['']))).toEqual([1, 1])
    expect(perOf([example('D')], ['A B C'])).toBe(3)
  })

  it('judge single answers, and explain rates of more than 100%', () => {
    expect([per, wer].map(rate => rate.isRight?.(example('A B', 'C'), ' C '))).toEqual([true, true])
    expect([per, wer].map(rate => rate.isRight?.(example('A B', 'C'), 'A'))).toEqual([false, false])
    expect(per.explain?.(3, per.name)).toContain('above 100%')
    expect(per.explain?.(1, per.name)).toBeUndefined()
  })

  it('are NaN without examples, and refuse a wrong number of predictions', () => {
    for (const rate of [perOf, werOf]) {
      expect(rate([], [])).toBeNaN()
      expect(() => rate([], ['a'])).toThrow(ShapeError)
    }
  })
})

import { describe, expect, it } from 'vitest'
import { mergeInputs, splitExamples, splitOf } from './example.js'

const example = (input: string, target: string, ...alternatives: string[]) => ({ input, target, alternatives })

describe('splitOf', () => {
  it('never changes', () => {
    // Fixed for ever: if a word changed its split, a model could be tested on a word that it was trained on.
    expect(['aba', 'abaco', 'abalone', 'abatement', 'abba'].map(splitOf)).toEqual(Array(5).fill('test'))
    expect(['abbe', 'abidjan', 'ablutions'].map(splitOf)).toEqual(Array(3).fill('validation'))
    expect(['a', "a's", 'switchyard', ''].map(splitOf)).toEqual(Array(4).fill('train'))
  })

  it('gives 5% to test and 1% to validation, also for similar inputs', () => {
    const counts = { train: 0, validation: 0, test: 0 }
    for (let i = 0; i < 100_000; i++) counts[splitOf(`input ${i}`)]++
    expect(counts.test / 100_000).toBeCloseTo(0.05, 2)
    expect(counts.validation / 100_000).toBeCloseTo(0.01, 2)
  })
})

describe('splitExamples', () => {
  it('keeps equal inputs together and the order of each split', () => {
    const examples = ['abbe', 'a', 'aba', 'abba', 'aba'].map((input, i) => example(input, String(i)))
    const splits = splitExamples(examples)
    expect(splits.test.map(e => e.target)).toEqual(['2', '3', '4'])
    expect(splits.validation.map(e => e.target)).toEqual(['0'])
    expect(splits.train.map(e => e.target)).toEqual(['1'])
  })
})

describe('mergeInputs', () => {
  it('turns further targets of an input into alternatives', () => {
    expect(mergeInputs([example('x', '1', '2'), example('y', '1'), example('x', '3', '1'), example('x', '2')])).toEqual(
      [example('x', '1', '2', '3'), example('y', '1')],
    )
  })
})

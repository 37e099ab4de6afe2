import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { textMetric, textMetrics } from './text-metrics.js'

const target = (first: string, ...alternatives: string[]) => ({ target: first, alternatives })
const figures = (name: string, targets: object[], predictions: string[]) =>
  textMetric(name).compute(targets, predictions)

describe('metrics of texts', () => {
  it('are listed where a name is unknown', () => {
    expect(() => textMetric('nosuch')).toThrow('there is no metric "nosuch". The metrics of texts are accuracy, ')
    expect(() => textMetric('squat')).toThrow('did you mean squad? The metrics')
  })

  it('accept every accepted answer', () => {
    const targets = [target('the cat sat', 'a dog ran away'), target('x')]
    const perfect = ['a dog ran away', 'x']
    expect(figures('accuracy', targets, perfect)).toEqual({ accuracy: 100 })
    expect(figures('squad', targets, ['Dog ran away!', 'x'])).toEqual({ em: 100, f1: 100 })
    expect(figures('coqaF1', targets, perfect)).toEqual({ f1: 100 })
    expect(figures('rougeMean', targets, perfect)).toMatchObject({ rouge1: 100, rougeLsum: 100 })
    expect(figures('editDistance', targets, perfect)).toMatchObject({ sum_edit: 0 })
    expect(figures('matthewsCorrcoef', targets, perfect)).toEqual({ matthews_corrcoef: 100 })
    expect(figures('bleu', targets, ['a dog ran away', 'x']).bleu).toBeCloseTo(100, 10)
    // The nearest accepted answer counts.
    expect(figures('editDistance', targets, ['a dog ran', 'x'])).toMatchObject({ sum_edit: 1 })
  })

  it('score labels by their texts and numbers by their values', () => {
    const labels = ['spam', 'ham', 'ham'].map(label => target(label))
    // ham: F1 of 2 / 3; spam: no prediction, so 0. "eggs" is no class.
    const { mean_2class_f1: f1 } = figures('meanMulticlassF1', labels, ['eggs', 'ham', 'spam'])
    expect(f1).toBeCloseTo(100 / 3, 10)
    const numbers = ['1', '2.5', '4'].map(number => target(number))
    expect(figures('spearmanCorrcoef', numbers, ['0', '1_0', '1e2']).spearman_corrcoef).toBeCloseTo(100, 10)
    // A text that is no number is -1, the smallest here.
    expect(figures('spearmanCorrcoef', numbers, ['none', '1', '2']).spearman_corrcoef).toBeCloseTo(100, 10)
  })

  it('judge single answers', () => {
    expect(textMetric('squad').isRight?.(target('The Cat.'), 'cat')).toBe(true)
    expect(textMetric('squad').isRight?.(target('The Cat.', 'b'), 'dog')).toBe(false)
  })

  it('have different names, and an unknown name gets a proposal', () => {
    expect(new Set(textMetrics.map(({ name }) => name)).size).toBe(textMetrics.length)
    expect(() => textMetric('rogue')).toThrow(ConfigError)
    expect(() => textMetric('rogue')).toThrow('did you mean rouge?')
  })
})

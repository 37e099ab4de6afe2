import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { datasetOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import { mixDatasets } from './mix-datasets.js'
import { MixtureDraws } from './mixture-draws.js'
import { power } from './power.js'
import { mixingRateNumExamples, taskRates } from './rates.js'
import { TaskChoices } from './task-choices.js'

describe('power', () => {
  it('is correctly rounded', () => {
    // Rounded from 80 digits.
    const exact: [x: number, y: number, power: number][] = [
      [1000, 0.3333333333333333, 9.999999999999998],
      [1837092, 0.4, 320.37038444028144],
      [92, 0.4, 6.1026031791023785],
      [70624.29801022982, 0.5, 265.7523245622319],
      [3, 2, 9.0],
      [2097152, 0.6666666666666666, 16383.99999999999],
      [0.25, 0.3333333333333333, 0.6299605249474366],
      [1e-300, 0.14285714285714285, 1.3894954943731452e-43],
      [1e300, 0.8, 1.0000000000000307e240],
    ]
    for (const [x, y, expected] of exact) expect([x, y, power(x, y)]).toEqual([x, y, expected])
    expect([power(1, 0.3), power(5, 0), power(0, 0.5), power(1e300, 2)]).toEqual([1, 1, 0, Infinity])
  })
})

describe('rates', () => {
  it('of tasks that occur more than once are added; tasks are in the order of code points', () => {
    const inner = [
      { name: 'b', rate: 1 },
      { name: '\u{10000}', rate: 3 },
      { name: '\uffee', rate: 0 },
    ]
    const rates = taskRates([
      { name: 'b', rate: 2 },
      { name: 'inner', rate: 4, members: inner },
    ])
    expect([...rates]).toEqual([
      ['b', 3],
      ['\uffee', 0],
      ['\u{10000}', 3],
    ])
  })

  it('that no draw can use are refused', () => {
    expect(() => taskRates([{ name: 'a', rate: -1 }])).toThrow('the mixing rate of "a" is -1')
    expect(() => taskRates([{ name: 'm', rate: 1, members: [{ name: 'a', rate: 0 }] }])).toThrow(/no task of "m"/)
    expect(() => new TaskChoices([0, 0])).toThrow('a mixture needs at least one task with a rate above 0')
    expect(() => new TaskChoices([1, NaN])).toThrow(ConfigError)
    expect(mixingRateNumExamples(10, { maximum: 0 })).toBe(10)
  })
})

describe('the draws of a mixture', () => {
  const rates = [3, 0, 1.5, 0.2]
  const inOrder = new MixtureDraws(rates, 7)
  const draws = Array.from({ length: 5000 }, (_, i) => inOrder.get(i))

  it('number the examples of each task from 0 on', () => {
    const next = rates.map(() => 0)
    for (const { task, example } of draws) expect(example).toBe(next[task]++)
    expect(next[1]).toBe(0)
    expect(Math.min(next[0], next[2], next[3])).toBeGreaterThan(100)
  })

  it('are the same in any order', () => {
    const backwards = new MixtureDraws(rates, 7)
    for (let i = draws.length - 1; i >= 0; i -= 37) expect(backwards.get(i)).toEqual(draws[i])
    expect([...new TaskChoices(rates, 7).range(1233, 3)]).toEqual([1233, 1234, 1235].map(i => draws[i].task))
  })

  it('go on from a saved state', () => {
    for (const at of [0, 1, 1023, 1024, 3001]) {
      const state = inOrder.state(at)
      expect(state.draw).toBe(state.counts.reduce((a, b) => a + b, 0))
      const resumed = new MixtureDraws(rates, 7, JSON.parse(JSON.stringify(state)))
      expect([at, at + 1, at + 1500].map(i => resumed.get(i))).toEqual([at, at + 1, at + 1500].map(i => draws[i]))
      expect(resumed.state(at + 1100)).toEqual(inOrder.state(at + 1100))
      expect(() => resumed.get(at - 1)).toThrow(RangeError)
    }
  })

  it('refuse a state of another number of tasks, or that no draws lead to', () => {
    for (const counts of [[1], [1, 0, 0, 1], [-1, 0, 2, 0]])
      expect(() => new MixtureDraws(rates, 7, { draw: 1, counts })).toThrow(ConfigError)
  })
})

describe('mixed datasets', () => {
  const endless: Dataset<string> = { length: Infinity, get: index => `e${index}` }

  it('are endless if all are, and need no dataset of a task with the rate 0', () => {
    expect(mixDatasets([endless, datasetOf([])], [1, 0]).length).toBe(Infinity)
    const mixed = mixDatasets([endless, datasetOf(['a', 'b'])], [1, 1])
    const all = Array.from({ length: mixed.length }, (_, i) => mixed.get(i))
    expect(all.filter(example => !example.startsWith('e'))).toEqual(['a', 'b'])
    expect(() => mixed.get(mixed.length)).toThrow(RangeError)
    expect(() => mixDatasets([endless], [1, 2])).toThrow('a mixture of 1 datasets has 2 rates')
  })
})

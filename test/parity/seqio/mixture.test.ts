import { describe, expect, it } from 'vitest'
import { datasetOf } from '../../../src/data/dataset.js'
import { mixDatasets } from '../../../src/data/mixing/mix-datasets.js'
import { MixtureDraws } from '../../../src/data/mixing/mixture-draws.js'
import { mixingRateNumExamples, taskRates } from '../../../src/data/mixing/rates.js'
import { cumulativeWeights, multinomial, TaskChoices } from '../../../src/data/mixing/task-choices.js'
import { seedOf } from '../../../src/data/random/seed.js'
import { seqioCases } from './cases.js'

interface Cases {
  mixing_rate_num_examples?: {
    num_examples: number
    args: { maximum?: number; scale?: number; temperature?: number }
    rate: number
  }[]
  task_choices?: {
    seed: number
    task_names: string[]
    rates: number[]
    order_of_tasks: number[]
    choices: number[]
    example_numbers: number[]
  }[]
  no_seed_no_shuffle?: { rates: number[]; choices: number[] }[]
  stops_when_a_task_ends?: { seed: number; sizes: number[]; rates: number[]; choices: number[] }[]
  nested_rates?: { inner: number[]; outer: { inner: number; c: number }; rates_abc: number[] }[]
  stateless_multinomial?: { logits: number[]; seeds: [number | string, number | string][]; draws: number[] }[]
}

const cases = seqioCases<Cases>('mixture.json')

describe('mixtures', () => {
  it('mixing_rate_num_examples', () => {
    for (const { num_examples, args, rate } of cases.mixing_rate_num_examples ?? [])
      expect([num_examples, args, mixingRateNumExamples(num_examples, args)]).toEqual([num_examples, args, rate])
  })

  it('the sequence of task choices, and which example of the task each draw is', () => {
    for (const { seed, task_names, rates, order_of_tasks, choices, example_numbers } of cases.task_choices ?? []) {
      const byName = [...taskRates(task_names.map((name, i) => ({ name, rate: rates[i] }))).entries()]
      expect(byName.map(([name]) => task_names.indexOf(name))).toEqual(order_of_tasks)
      const draws = new MixtureDraws(
        byName.map(([, rate]) => rate),
        seed,
      )
      const drawn = choices.map((_, i) => draws.get(i))
      expect(drawn.map(({ task }) => task)).toEqual(choices)
      expect(drawn.map(({ example }) => example)).toEqual(example_numbers)
    }
  })

  it('no seed and no shuffle: 42', () => {
    for (const { rates, choices } of cases.no_seed_no_shuffle ?? [])
      expect([...new TaskChoices(rates).range(0, choices.length)]).toEqual(choices)
  })

  it('the end, when a task is used up', () => {
    for (const { seed, sizes, rates, choices } of cases.stops_when_a_task_ends ?? []) {
      const tasks = sizes.map((size, task) => datasetOf(Array.from({ length: size }, () => task)))
      const mixed = mixDatasets(tasks, rates, seed)
      expect(Array.from({ length: mixed.length }, (_, i) => mixed.get(i))).toEqual(choices)
    }
  })

  it('rates of a mixture in a mixture', () => {
    for (const { inner, outer, rates_abc } of cases.nested_rates ?? []) {
      const members = inner.map((rate, i) => ({ name: 'ab'[i], rate }))
      const rates = taskRates([
        { name: 'inner', rate: outer.inner, members },
        { name: 'c', rate: outer.c },
      ])
      expect([...rates]).toEqual(rates_abc.map((rate, i) => ['abc'[i], rate]))
    }
  })

  it('stateless_multinomial', () => {
    for (const { logits, seeds, draws } of cases.stateless_multinomial ?? []) {
      const cumulative = cumulativeWeights(logits)
      expect(seeds.map(([a, b]) => multinomial(cumulative, seedOf(BigInt(a), BigInt(b))))).toEqual(draws)
    }
  })
})

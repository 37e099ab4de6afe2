import { describe, expect, it } from 'vitest'
import { ByteVocabulary } from '../text/bytes.js'
import { CharacterVocabulary } from '../text/symbols.js'
import { defineTask } from './define-task.js'
import type { TaskDefinition } from './define-task.js'
import { TrainIterator } from './iterator.js'
import { MixtureDraws } from './mixing/mixture-draws.js'
import { defineMixture } from './mixture.js'
import { functionSource } from './sources/iterable-source.js'
import { taskStream } from './streams/task-stream.js'

const vocabulary = new ByteVocabulary()
const size = { rows: 3, inputLength: 24, targetLength: 12, seed: 9 }

/** `count` training examples whose inputs begin with the task's name. */
const counting = (name: string, count: number): TaskDefinition =>
  defineTask({
    name,
    source: functionSource(
      name,
      () => Array.from({ length: count }, (_, i) => ({ inputs: `${name}${i}`, targets: 'x' })),
      {
        splits: ['train', 'test'],
      },
    ),
    features: { inputs: { vocabulary }, targets: { vocabulary } },
    // As in SeqIO: all training examples stay.
    splitBy: null,
  })

describe('defineMixture', () => {
  it('draws from its tasks as SeqIO does, and each task epoch after epoch', async () => {
    const mixture = await defineMixture({
      name: 'mix',
      tasks: [
        { task: counting('b', 20), rate: 3 },
        { task: counting('a', 50), rate: 1 },
      ],
    }).load()
    expect(mixture.members!.map(({ task, rate }) => [task.name, rate])).toEqual([
      ['a', 1],
      ['b', 3],
    ])
    const stream = taskStream(mixture, size)
    const draws = new MixtureDraws([1, 3], size.seed)
    const drawn: string[] = []
    for (let i = 0; i < 2000; i++) {
      const input = vocabulary.decode(stream.get(stream.draw()).inputs)
      expect(input[0]).toBe('ab'[draws.get(i).task])
      drawn.push(input)
    }
    const b = drawn.filter(input => input.startsWith('b'))
    expect(new Set(b.slice(0, 20)).size).toBe(20)
    expect(new Set(b.slice(20, 40)).size).toBe(20)
    expect(stream.epochs).toBeCloseTo((2000 - b.length) / 50)
    expect(mixture.tokens('test').length).toBe(70)
    expect(vocabulary.decode(mixture.tokens('test').get(50).inputs)).toBe('b0')
  })

  it('has rates in proportion to the sizes, with a maximum and a temperature, also of inner mixtures', async () => {
    const inner = defineMixture({ name: 'inner', tasks: [counting('a', 10), counting('b', 30)] })
    const rates = async (options: object) => {
      const { members } = await defineMixture({ name: 'm', tasks: [counting('c', 40), inner], ...options }).load()
      return Object.fromEntries(members!.map(({ task, rate }) => [task.name, rate]))
    }
    expect(await rates({})).toEqual({ a: 10, b: 30, c: 40 })
    expect(await rates({ maximum: 20 })).toEqual({ a: 5, b: 15, c: 20 })
    expect(await rates({ scale: 2.5, temperature: 2 })).toEqual({ a: 2.5, b: 7.5, c: 10 })
  })

  it('resumes exactly', async () => {
    const mixture = await defineMixture({ name: 'mix', tasks: [counting('a', 7), counting('b', 30)] }).load()
    const begin = (): TrainIterator => new TrainIterator(taskStream(mixture, size), size)
    const original = begin()
    for (let i = 0; i < 25; i++) {
      const resumed = begin()
      resumed.restore(JSON.parse(JSON.stringify(original.state())))
      expect(resumed.next()).toEqual(original.next())
      expect(resumed.state()).toEqual(original.state())
    }
    const state = original.state()
    for (const change of [{ draws: -1 }, { members: [] }, { carried: [3] }, { carried: [[0]] }, { carried: [[5, 0]] }])
      expect(() => begin().restore({ ...state, ...change })).toThrow(/not the state of/)
  })

  it('refuses tasks of different vocabularies, and no tasks', async () => {
    const letters = CharacterVocabulary.fromTexts(['abc'])
    const other = defineTask({
      name: 'other',
      source: functionSource('other', () => [{ inputs: 'a', targets: 'b' }], { splits: ['train', 'test'] }),
      features: { inputs: { vocabulary: letters }, targets: { vocabulary: letters } },
    })
    const mixture = defineMixture({ name: 'mix', tasks: [counting('a', 7), other] })
    await expect(mixture.load()).rejects.toThrow('its tasks a and other have different vocabularies')
    expect(() => defineMixture({ name: 'mix', tasks: [] })).toThrow('the mixture mix has no tasks')
    expect(() => defineMixture({ name: 'mix', tasks: [counting('a', 1), counting('a', 2)] })).toThrow(
      'two of its tasks have the name "a"',
    )
  })
})

import { describe, expect, it } from 'vitest'
import { ConfigError } from '../base/errors.js'
import { predictionMetric } from '../metrics/metric.js'
import { CharacterVocabulary } from '../text/symbols.js'
import { ByteVocabulary } from '../text/bytes.js'
import { defineTask } from './define-task.js'
import type { Fields, Preprocessor } from './preprocessor.js'
import { ExampleSeeds } from './random/seed-counter.js'
import { splitOf } from './example.js'
import { functionSource } from './sources/iterable-source.js'
import { taskCodec } from './task.js'

const rows: Fields[] = Array.from({ length: 400 }, (_, i) => ({ text: `number ${i}`, value: `${i % 10}` }))
const vocabulary = new ByteVocabulary()
const features = { inputs: { vocabulary }, targets: { vocabulary, addEos: false } }

/** text and value become inputs and targets. */
const toFields: Preprocessor = {
  name: 'toFields',
  apply: dataset => ({
    length: dataset.length,
    get: i => {
      const { text, value } = dataset.get(i)
      return { inputs: text, targets: value, alternatives: [`0${value as string}`], shown: true }
    },
  }),
}

/** The targets become one random token, from the example's seed. */
const randomTarget: Preprocessor = {
  name: 'randomTarget',
  apply(dataset, { seeds }) {
    const own = new ExampleSeeds(seeds, 1)
    return { length: dataset.length, get: i => ({ ...dataset.get(i), targets: Int32Array.of(own.get(i)[0] % 1000) }) }
  },
}

describe('defineTask', () => {
  it('splits a source, and gives its examples as text and as tokens', async () => {
    const task = await defineTask({
      name: 'digits',
      source: functionSource('rows', () => rows),
      preprocessors: [toFields],
      features,
    }).load()
    expect(task).toMatchObject({ name: 'digits', config: { kind: 'custom', name: 'digits' }, isRandom: false })
    const test = rows.filter(({ text }) => splitOf(text as string) === 'test')
    expect(test.length).toBeGreaterThan(5)
    expect(task.split('test').map(({ input }) => input)).toEqual(test.map(({ text }) => text))
    expect(task.split('test')[0]).toMatchObject({
      target: test[0].value,
      alternatives: [`0${test[0].value as string}`],
      fields: { shown: true },
    })
    const lengths = (['train', 'validation', 'test'] as const).map(split => task.tokens(split).length)
    expect(lengths.reduce((a, b) => a + b)).toBe(rows.length)
    expect(task.tokens('test').get(0)).toEqual({
      inputs: Int32Array.from([...vocabulary.encode(test[0].text as string), 1]),
      targets: Int32Array.from(vocabulary.encode(test[0].value as string)),
    })
    expect(task.metrics.map(({ name }) => name)).toEqual(['symbol error rate', 'wrong answers'])
  })

  it("takes a source's own splits, and the texts before they were tokenized", async () => {
    const own: Record<string, Fields[]> = { train: rows.slice(0, 5), dev: rows.slice(5, 8) }
    const tokenized: Preprocessor = {
      name: 'tokenized',
      apply: dataset => ({
        length: dataset.length,
        get: i => {
          const { inputs, targets } = toFields.apply(dataset, {} as never).get(i)
          return {
            inputs: Int32Array.of(i),
            targets: Int32Array.of(7),
            inputs_pretokenized: inputs,
            targets_pretokenized: targets,
          }
        },
      }),
    }
    const hits = predictionMetric(function hits() {
      return { hits: 1 }
    })
    const task = await defineTask({
      name: 'own',
      source: functionSource('own', split => own[split!], { splits: ['train', 'dev'] }),
      preprocessors: [tokenized],
      features: () => Promise.resolve(features),
      metrics: [hits],
      postprocess: text => Number(text),
      units: { one: 'row', many: 'rows' },
    }).load()
    expect((['train', 'validation', 'test'] as const).map(split => task.split(split).length)).toEqual([5, 3, 0])
    expect(task.split('validation')[1]).toMatchObject({ input: 'number 6', target: '6' })
    expect(task.tokens('validation').get(1)).toEqual({ inputs: Int32Array.of(1), targets: Int32Array.of(7) })
    expect([task.metrics, task.units.many, task.postprocess?.('12', {} as never)]).toEqual([[hits], 'rows', 12])
  })

  it('encodes texts by the codec of a model that was trained before', async () => {
    const letters = CharacterVocabulary.fromTexts(['number 0123456789'])
    const codec = taskCodec({ inputs: letters, targets: letters })
    const task = await defineTask({
      name: 'digits',
      source: functionSource('rows', () => rows),
      preprocessors: [toFields],
      features,
    }).load(codec)
    expect(task.codec).toBe(codec)
    expect([...task.tokens('train').get(0).inputs]).toEqual([...letters.encode(task.split('train')[0].input), 1])
  })

  it('gives random preprocessors the seed, and has no text examples where the targets are tokens only', async () => {
    const task = await defineTask({
      name: 'random',
      source: functionSource('rows', () => rows),
      preprocessors: [toFields, randomTarget],
      features,
    }).load()
    expect(task.isRandom).toBe(true)
    expect(task.split('test')).toEqual([])
    const target = (seed: number) => task.tokens('train', { seed }).get(3).targets[0]
    expect(target(1)).toBe(target(1))
    expect(target(1)).not.toBe(target(2))
  })

  it('says which feature is missing, and refuses a name that is no file name', async () => {
    const task = await defineTask({ name: 'bare', source: functionSource('rows', () => rows), features }).load()
    expect(() => task.tokens('train').get(0)).toThrow(ConfigError)
    expect(() => task.tokens('train').get(0)).toThrow(
      'the task bare: its preprocessors give examples whose "inputs" is missing',
    )
    expect(() => defineTask({ name: 'a/b', source: functionSource('rows', () => rows), features })).toThrow(ConfigError)
    const misspelt: object = { preprocesors: [] }
    const parts = { name: 'odd', source: functionSource('rows', () => rows), features }
    expect(() => defineTask({ ...parts, ...misspelt })).toThrow(
      'the task odd has no part "preprocesors"; did you mean preprocessors?',
    )
    const noFunction = { name: 'x', aply: () => undefined } as unknown as Preprocessor
    expect(() => defineTask({ ...parts, preprocessors: [noFunction] })).toThrow(
      'the task odd: preprocessor 1 has no function `apply`',
    )
  })
})

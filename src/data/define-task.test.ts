import { describe, expect, it } from 'vitest'
import { ConfigError, FileError } from '../base/errors.js'
import { predictionMetric } from '../metrics/metric.js'
import { CharacterVocabulary } from '../text/symbols.js'
import { ByteVocabulary } from '../text/bytes.js'
import { defineTask } from './define-task.js'
import type { TaskParts } from './define-task.js'
import { defineMixture } from './mixture.js'
import { suggestedInputs } from './suggested-inputs.js'
import { taskNotes } from './task-notes.js'
import type { Task } from './task.js'
import type { Fields, Preprocessor } from './preprocessor.js'
import { ExampleSeeds } from './random/seed-counter.js'
import { splitOf } from './example.js'
import { mapPreprocessor } from './preprocessors/seqio/map-preprocessor.js'
import { rekey } from './preprocessors/seqio/rekey.js'
import { csvSource } from './sources/file-sources.js'
import { functionSource } from './sources/iterable-source.js'
import { taskCodec } from './task.js'

const rows: Fields[] = Array.from({ length: 400 }, (_, i) => ({ text: `number ${i}`, value: `${i % 10}` }))
const vocabulary = new ByteVocabulary()
const features = { inputs: { vocabulary }, targets: { vocabulary, addEos: false } }
const both = { inputs: { vocabulary }, targets: { vocabulary } }

function fail(message: string): never {
  throw new ConfigError(message)
}

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

/** Token ids in the place of the texts. */
const tokenized: Preprocessor = {
  name: 'tokenized',
  apply: dataset => ({
    length: dataset.length,
    get: i => {
      const ids = Int32Array.from(vocabulary.encode(dataset.get(i).text as string))
      return { inputs: ids, targets: ids }
    },
  }),
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

  it('takes splits that a source lacks from its training split, and says so', async () => {
    const parts = (splits: string[], splitBy?: null) => ({
      name: 'lacking',
      source: functionSource('rows', split => (split === 'train' ? rows : rows.slice(0, 3)), { splits }),
      preprocessors: [toFields],
      features,
      ...(splitBy === null && { splitBy }),
    })
    const hashed = (split: string) => rows.filter(({ text }) => splitOf(text as string) === split).length
    const percent = ((100 * hashed('validation')) / rows.length).toFixed(1)
    const sizes = (task: Task) => (['train', 'validation', 'test'] as const).map(split => task.tokens(split).length)
    const noValidation = await defineTask(parts(['train', 'test'])).load()
    expect(sizes(noValidation)).toEqual([rows.length - hashed('validation'), hashed('validation'), 3])
    expect(noValidation.notes).toEqual([
      `the source rows: of ${rows.length} examples, ${hashed('validation')} (${percent}%) for validation are kept, by a hash of their text (splitBy: null leaves all in training)`,
    ])
    // Its three test examples are the first ones of its training split.
    expect(taskNotes(noValidation).at(-1)).toMatch(
      /^warning: 3 of \d+ held-out examples have inputs that are trained on as well/,
    )
    const noTest = await defineTask(parts(['train', 'valid'])).load()
    expect(sizes(noTest)).toEqual([rows.length - hashed('test'), 3, hashed('test')])
    const undivided = await defineTask(parts(['train', 'test'], null)).load()
    expect([sizes(undivided), undivided.notes]).toEqual([[rows.length, 0, 3], []])
  })

  it('names the task and the part that returns a value of a wrong kind', async () => {
    const load = (given: object): Promise<Task> =>
      defineTask({ name: 'odd', source: functionSource('rows', () => rows), features, ...given } as TaskParts).load()
    const from = (returned: unknown): object => ({ source: functionSource('mine', () => returned as Fields[]) })
    const form = 'expected a list of examples, something to iterate over, or { length, get(index) }'
    await expect(load(from(undefined))).rejects.toThrow(
      `the task odd: the source mine: its function returned undefined: ${form}`,
    )
    await expect(load(from('rows.csv'))).rejects.toThrow('returned the text "rows.csv"')
    await expect(load(from(7))).rejects.toThrow('returned a number')
    await expect(load(from({ rows }))).rejects.toThrow('returned an object with the keys rows')
    await expect(load(from([{ text: 'a' }, 'b']))).rejects.toThrow(
      'the task odd: the source mine: example 1 is the text "b": expected fields by name',
    )
    await expect(load(from(new Set(['b'])))).rejects.toThrow('example 0 is the text "b"')
    await expect(load({ source: { name: 'own', splits: null, open: () => Promise.resolve(rows) } })).rejects.toThrow(
      'the task odd: the source own returned a list of 400 from `open`',
    )
    const stage = (apply: () => unknown): object => ({ preprocessors: [toFields, { name: 'mine', apply }] })
    await expect(load(stage(() => undefined))).rejects.toThrow(
      'the task odd: preprocessor 2 (mine): it returned undefined: expected a dataset, { length, get(index) }',
    )
    const lost = await load(stage(() => ({ length: 3, get: () => undefined })))
    expect(() => lost.tokens('train').get(2)).toThrow(
      'the task odd: preprocessor 2 (mine): it gave undefined for example 2: expected fields by name',
    )
    expect(() => load({ metrics: [() => 1] })).toThrow('the task odd: metric 1 has no function `compute`')
    expect(() => load({ postprocess: 'lower' })).toThrow('the task odd: postprocess is the text "lower"')
    expect(() => load({ source: 'rows.csv' })).toThrow('the task odd: its source has no function `open`')
  })

  it('names the task and the part that throws an error', async () => {
    const load = (given: object): Promise<Task> =>
      defineTask({ name: 'odd', source: functionSource('rows', () => rows), features, ...given } as TaskParts).load()
    const renamed = await load({ preprocessors: [toFields, rekey({ inputs: 'inputs', targets: 'label' })] })
    expect(() => renamed.tokens('train').get(0)).toThrow(
      'the task odd: preprocessor 2 (rekey): an example has no field "label"; it has inputs, targets, alternatives, shown',
    )
    // The preprocessors after it do not name themselves as well, and neither is a source's error theirs.
    const upper = mapPreprocessor('upper', ({ text }) => ({ inputs: (text as string).toUpperCase(), targets: 'x' }))
    const later = await load({ preprocessors: [toFields, upper, toFields] })
    expect(() => later.split('train')).toThrow(
      /^the task odd: preprocessor 2 \(upper\): .*define-task\.test\.ts:\d+:\d+: TypeError: Cannot read properties of undefined \(reading 'toUpperCase'\)$/,
    )
    const broken = { length: 1, notes: [], close: () => undefined, get: () => JSON.parse('{') as Fields }
    const source = { name: 'own', splits: null, open: () => Promise.resolve(broken) }
    const unread = await load({ source, preprocessors: [toFields], splitBy: null })
    expect(() => unread.split('train')).toThrow(/^the task odd: its source: SyntaxError: /)
    const stage = { name: 'strict', apply: () => fail('no examples') }
    await expect(load({ preprocessors: [stage] })).rejects.toThrow('the task odd: preprocessor 1 (strict): no examples')
    await expect(load({ source: csvSource('none.csv') })).rejects.toThrow(
      'the task odd: none.csv: there is no such file or folder',
    )
    await expect(load({ source: csvSource('none.csv') })).rejects.toThrow(FileError)
    await expect(load({ features: () => fail('no vocabulary') })).rejects.toThrow(
      'the task odd: its features: no vocabulary',
    )
    await expect(load({ splitBy: () => fail('no id') })).rejects.toThrow('the task odd: no id')
  })

  it('says which examples have no target', async () => {
    const source = functionSource('rows', () =>
      rows.map((row, i) => (i % 150 === 7 ? { inputs: row.text } : { inputs: row.text, targets: row.value }) as Fields),
    )
    const task = await defineTask({ name: 'some', source, features, splitBy: () => 'always in training' }).load()
    expect(() => task.split('train')).toThrow(
      'the task some: 3 of the 400 train examples have no text for an answer; the first is example 7, without text in "targets": "{\\"inputs\\":\\"number 7\\"}"',
    )
    expect(task.split('test')).toEqual([])
  })

  it('has inputs to try: its own, those of the tasks of a mixture, or the text of its tokens', async () => {
    const task = (name: string, stage: Preprocessor) =>
      defineTask({ name, source: functionSource(name, () => rows), preprocessors: [stage], features: both })
    const text = await task('text', toFields).load()
    expect(text.split('test').map(({ input }) => input)).toContain(suggestedInputs(text)[0])
    const mixture = defineMixture({ name: 'mix', tasks: [task('a', toFields), task('b', tokenized)] })
    expect(suggestedInputs(await mixture.load())).toEqual([
      expect.stringMatching(/^number \d+$/),
      expect.stringMatching(/^number \d+$/),
    ])
  })

  it('knows by its content hash when a later example has changed', async () => {
    const hashOf = async (changed: Fields[], random: boolean) => {
      const source = functionSource('rows', () => changed)
      const preprocessors = random ? [toFields, randomTarget] : [tokenized]
      const task = await defineTask({ name: 'random', source, preprocessors, features, splitBy: () => 'train' }).load()
      expect(task.isRandom).toBe(random)
      return task.contentHash!()
    }
    const changed = rows.map((row, i) => (i === 333 ? { ...row, text: 'another' } : row))
    for (const random of [true, false]) {
      expect(await hashOf(rows, random)).toBe(await hashOf([...rows], random))
      expect(await hashOf(changed, random)).not.toBe(await hashOf(rows, random))
    }
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

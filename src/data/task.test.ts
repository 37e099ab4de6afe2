import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError, FileError } from '../base/errors.js'
import { splitOf } from './example.js'
import { suggestedInputs } from './suggested-inputs.js'
import { taskNotes } from './task-notes.js'
import { makeTask, readCodec, saveCodec, taskCodec } from './task.js'
import type { Task, TaskCodec } from './task.js'
import { g2pTask } from './tasks/g2p.js'
import { pairsSettingsOf } from './pairs/settings.js'
import { pairsTask } from './tasks/pairs.js'
import { loadTask, taskSchema } from './tasks/registry.js'
import { ByteVocabulary } from '../text/bytes.js'
import { symbolsOf } from '../text/symbols-of.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-task-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, lines: string[]): string {
  const path = join(folder, name)
  writeFileSync(path, lines.join('\n'))
  return path
}

describe('g2pTask', async () => {
  const task = await g2pTask()

  it('has letters and phonemes in one id space', () => {
    expect(task.codec.vocabSize).toBe(3 + 27 + 39)
    const letters = task.codec.inputs.encode("'z")
    const phonemes = task.codec.targets.encode('AA ZH')
    expect([letters, phonemes]).toEqual([
      [3, 29],
      [30, 68],
    ])
    expect(task.codec.targets.decode(phonemes)).toBe('AA ZH')
  })

  it('knows every symbol of every split', () => {
    for (const split of ['train', 'validation', 'test'] as const) {
      for (const { input, target } of task.split(split)) {
        expect(task.codec.inputs.encode(input).includes(2) || task.codec.targets.encode(target).includes(2)).toBe(false)
      }
    }
  })

  it('splits its examples, with alternatives', () => {
    expect((['train', 'validation', 'test'] as const).map(name => task.split(name).length)).toEqual([
      116_611, 1_258, 6_226,
    ])
    expect(task.split('validation')[0]).toEqual({ input: 'abbe', target: 'AE B IY', alternatives: ['AE B EY'] })
  })

  it('gives the tokens of each split', () => {
    const { input, target } = task.split('train')[7]
    const example = task.tokens('train').get(7)
    expect(task.tokens('train').length).toBe(116_611)
    expect(task.codec.inputs.decode(example.inputs)).toBe(input)
    expect([...example.targets]).toEqual([...task.codec.targets.encode(target), 1])
    // A task that is made from this one, with other examples.
    expect({ ...task, split: () => [{ input: 'z', target: 'ZH', alternatives: [] }] }.tokens('test').get(0)).toEqual({
      inputs: Int32Array.of(29, 1),
      targets: Int32Array.of(68, 1),
    })
  })

  it('lower-cases what a user types, and counts errors in phonemes', () => {
    expect(task.codec.prepare(' Switchyard ')).toBe('switchyard')
    const [per, wer] = task.metrics
    const answers = [{ target: 'S W IH CH', alternatives: [] }]
    expect(per.compute(answers, ['S W IY CH'])).toEqual({ 'phoneme error rate (PER)': 1 / 4 })
    expect(wer.compute(answers, ['S W IY CH'])).toEqual({ 'word error rate (WER)': 1 })
  })
})

describe('pairsTask', () => {
  // Inputs whose split is known (source.test.ts), so that each split has some.
  const inputs = ['switchyard', 'a', 'aba', 'aba', 'abbe']

  it('reads labels and symbols as tokens', async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `word${i}\tS${i % 7} S${i % 11}`)
    const task = await pairsTask(write('symbols.tsv', lines))
    expect(task.name).toBe('symbols')
    expect(task.codec.inputs.toJSON().kind).toBe('bytes')
    // After 256 bytes and the special ids: S0 to S10.
    expect(task.codec.vocabSize).toBe(3 + 256 + 11)
    expect(task.codec.targets.encode('S0 S1 S99')).toEqual([259, 260, 2])
    expect(symbolsOf(task.codec.targets)('S0 S1')).toEqual(['S0', 'S1'])
    expect(task.config).toMatchObject({ input: '1', target: '2', inputTokenizer: 'bytes', targetTokenizer: 'words' })
  })

  it('puts equal inputs of a held-out split together', async () => {
    const lines = inputs.map((input, i) => `${input}\tS${i} S1`)
    const task = await pairsTask(write('merged.tsv', lines))
    expect(task.split('test')).toEqual([{ input: 'aba', target: 'S2 S1', alternatives: ['S3 S1'] }])
  })

  it('reads short texts by bytes, with the same ids on both sides', async () => {
    const task = await pairsTask(write('past.tsv', ['go\twent', 'switchyard\tswitchyards', 'a\tb c']))
    expect(task.codec.targets).toBe(task.codec.inputs)
    expect(task.codec.targets.decode(task.codec.targets.encode('naïve'))).toBe('naïve')
    expect(symbolsOf(task.codec.targets)('b c')).toEqual(['b', ' ', 'c'])
  })

  it('keeps repeated inputs in the training split', async () => {
    const task = await pairsTask(write('twice.tsv', ['a\tx', 'a\ty', 'a\tx']))
    expect(task.split('train').map(e => e.target)).toEqual(['x', 'y', 'x'])
    expect(task.split('test')).toEqual([])
  })

  it('proposes a held-out input, and warns of those that are trained on as well', async () => {
    const test = write('seen.tsv', ['a\tx', 'new $(word)\ty', 'new word\ty'])
    const task = await pairsTask(pairsSettingsOf({ path: write('train.tsv', ['a\tx', 'b\ty']), test }))
    expect(suggestedInputs(task)).toEqual(['a'])
    expect(taskNotes(task).at(-1)).toMatch(/^warning: 1 of 3 held-out examples have inputs that are trained on as well/)
    const other = await pairsTask(
      pairsSettingsOf({ path: write('c.tsv', ['c\tx']), test: write('d.tsv', ['$(d)\tx']) }),
    )
    expect(suggestedInputs(other)).toEqual(['$(d)'])
  })

  it('says that few examples are too few, and how many held-out ones repeat an input', async () => {
    const lines = (count: number): string[] => Array.from({ length: count }, (_, i) => `w${i}\tx`)
    const of = async (train: number, ...test: string[]): Promise<readonly string[] | undefined> => {
      const path = write('few.tsv', [
        ...lines(train).map(line => `${line}\ttrain`),
        ...test.map(line => `${line}\ttest`),
      ])
      return (await pairsTask(pairsSettingsOf({ path, input: '1', target: '2', split: '3' }))).notes
    }
    expect(await of(1)).toContainEqual(
      expect.stringMatching(/^warning: only 1 training example: it is too few to learn/),
    )
    expect((await of(120))!.join()).not.toMatch(/too few|repeat/)
    // The hash takes some of the training examples for validation.
    expect(await of(120, 'a\tx', 'a\ty', 'b\tx')).toContainEqual(
      expect.stringMatching(/^1 of \d+ held-out examples repeat an input: each input is asked once, and all its/),
    )
  })

  it('numbers words of data that goes word for word, unless told not to, and says so', async () => {
    const lines = Array.from({ length: 120 }, (_, i) => `w${i} is ${i % 7}\tN V ${i % 3}`)
    const path = write('tags.tsv', lines)
    const task = await pairsTask(path)
    expect(task.config).toMatchObject({ numberWords: true })
    expect(task.notes).toContainEqual(expect.stringMatching(/^words are numbered on both sides, since/))
    // An answer is scored word by word, without its numbers.
    expect(task.codec.targets.decode(task.tokens('train').get(0).targets)).toBe(task.split('train')[0].target)
    expect(symbolsOf(task.codec.targets)('N V')).toEqual(['N', 'V'])
    const again = readCodec(JSON.parse(JSON.stringify(saveCodec(task))))
    expect(again.inputs.encode('w1 is')).toEqual(task.codec.inputs.encode('w1 is'))
    const plain = await pairsTask(pairsSettingsOf({ path, numberWords: false }))
    expect(plain.config).toMatchObject({ numberWords: false })
    expect(plain.tokens('train').get(0).targets.length).toBe(4)
    // A model that is given keeps its own way, unless its words are to be numbered by its sentinels.
    expect((await pairsTask(path, plain.codec)).config).toMatchObject({ numberWords: false })
    expect((await pairsTask(path, task.codec)).config).toMatchObject({ numberWords: true })
    expect((await pairsTask(path, task.codec)).notes).toContain(
      'words are numbered on both sides, as in the training of the model',
    )
    // A pretrained model's sentinels number the words of data that goes word for word; a run goes on as it was trained.
    const bytes = new ByteVocabulary()
    const pretrained = taskCodec({ inputs: bytes, targets: bytes })
    const tagger = await pairsTask(path, pretrained, { isOfRun: false })
    expect(tagger.config).toMatchObject({ numberWords: true })
    expect(tagger.notes).toContainEqual(expect.stringMatching(/^words are numbered .* by the model's sentinels, since/))
    const asItWas = await pairsTask(path, pretrained)
    expect(asItWas.config).toMatchObject({ numberWords: false })
    expect(asItWas.notes).toContainEqual(
      expect.stringMatching(/^targets go word for word .* but words are not numbered/),
    )
    const numbering = (numberWords: boolean, codec: TaskCodec): Promise<Task> =>
      pairsTask(pairsSettingsOf({ path, numberWords }), codec)
    await expect(numbering(false, task.codec)).rejects.toThrow(/^task\.numberWords=false: this model was trained with/)
    await expect(numbering(true, plain.codec)).rejects.toThrow(/^task\.numberWords=true: .* vocabulary has none that/)
    expect((await numbering(true, task.codec)).config).toMatchObject({ numberWords: true })
  })

  it('warns of training targets with another number of tags than words', async () => {
    const lines = Array.from({ length: 200 }, (_, i) => `w${i} is ${i % 7}\tN V ${i % 50 === 1 ? '' : i % 3}`)
    const task = await pairsTask(write('uneven.tsv', lines))
    expect(taskNotes(task)).toContainEqual(
      expect.stringMatching(
        /^warning: \d of 1\d\d training targets \(\d\.\d%\) have another number of tags than their inputs have words, such as "w\d+ is \d" with "N V": /,
      ),
    )
  })

  it('does not number words where spaces would be lost, and warns if told to', async () => {
    const lines = Array.from({ length: 120 }, (_, i) => JSON.stringify({ input: `a b w${i}`, target: `x\n\ty w${i}` }))
    const settings = { path: write('code.jsonl', lines), inputTokenizer: 'bytes', targetTokenizer: 'bytes' } as const
    expect((await pairsTask(pairsSettingsOf(settings))).config).toMatchObject({ numberWords: false })
    const { notes } = await pairsTask(pairsSettingsOf({ ...settings, numberWords: true }))
    expect(notes).toContainEqual(
      expect.stringMatching(/^warning: numbered words are joined by one space, and (\d+) of \1 training targets have/),
    )
  })

  it('refuses a file without training examples', async () => {
    const path = write('held-out.tsv', ['aba\tx'])
    expect(splitOf('aba')).toBe('test')
    await expect(pairsTask(path)).rejects.toThrow(FileError)
    await expect(pairsTask(path)).rejects.toThrow(/none of its 1 examples fell into the training split/)
  })
})

describe('a task as JSON', () => {
  const roundTrip = (spec: unknown): unknown => JSON.parse(JSON.stringify(spec))

  it('is enough for inference without the data', async () => {
    const path = write('gone.tsv', ['switchyard\tS W', 'a\tAH'])
    for (const task of [await g2pTask(), await pairsTask(path)]) {
      const codec = readCodec(roundTrip(saveCodec(task)))
      expect(codec.vocabSize).toBe(task.codec.vocabSize)
      expect(codec.inputs.encode('switchyard')).toEqual(task.codec.inputs.encode('switchyard'))
      expect(codec.targets.encode('S W')).toEqual(task.codec.targets.encode('S W'))
      expect(saveCodec({ name: task.name, codec })).toEqual(saveCodec(task))
    }
  })

  it('keeps one vocabulary for both sides one object', async () => {
    const spec = saveCodec(await pairsTask(write('one.tsv', ['a\tb'])))
    expect(spec.targets).toBeUndefined()
    const codec = readCodec(roundTrip(spec))
    expect(codec.targets).toBe(codec.inputs)
  })

  it('finds the data again, and keeps the vocabularies it was trained with', async () => {
    const path = write('grows.tsv', ['a\tb'])
    const task = await pairsTask(pairsSettingsOf({ path, inputTokenizer: 'characters', targetTokenizer: 'characters' }))
    const spec = roundTrip(saveCodec(task))
    write('grows.tsv', ['a\tb', 'switchyard\tzzz'])
    const again = await loadTask(task.config!, readCodec(spec))
    expect(again.split('train').length).toBe(2)
    expect(again.codec.inputs.toJSON()).toEqual(task.codec.inputs.toJSON())
    expect((await loadTask({ kind: 'g2p' })).split('test').length).toBe(6_226)
  })

  it('refuses a value that is not a saved task', () => {
    const characters = { kind: 'characters', symbols: ['a'] }
    const good = { name: 'x', lowercase: true, inputs: characters }
    expect(readCodec(good).vocabSize).toBe(4)
    // A field that older versions wrote.
    expect(readCodec({ ...good, source: { kind: 'cmudict' } }).vocabSize).toBe(4)
    for (const bad of [null, {}, { ...good, name: '' }, { ...good, inputs: undefined }, { ...good, more: 1 }]) {
      expect(() => readCodec(bad)).toThrow(ConfigError)
    }
  })
})

describe('the registry', () => {
  it('checks settings, and names the unknown task', async () => {
    // A configuration of an older version has the path alone.
    expect(taskSchema.parse({ kind: 'pairs', path: 'x.tsv' })).toMatchObject({
      path: 'x.tsv',
      input: null,
      labels: null,
    })
    expect(taskSchema.safeParse({ kind: 'g2p', path: 'x.tsv' }).success).toBe(false)
    await expect(loadTask({ kind: 'pairs' })).rejects.toThrow(/the settings of the task pairs: .*string/s)
    await expect(loadTask({ kind: 'translate' })).rejects.toThrow('there is no task "translate"; there are g2p, pairs')
    await expect(loadTask({ kind: 'custom', name: 'reverse' })).rejects.toThrow(
      'the task "reverse" is not built in: the program that began this run supplied it',
    )
  })
})

describe('makeTask', () => {
  it('prepares inputs, splits examples, and scores characters by default', () => {
    const vocabulary = new ByteVocabulary()
    const task = makeTask({
      name: 'upper',
      codec: taskCodec({ inputs: vocabulary, targets: vocabulary, lowercase: true }),
      examples: [' Switchyard', 'ABA', 'aba'].map(input => ({ input, target: input.toUpperCase(), alternatives: [] })),
    })
    expect(task.split('train').map(e => e.input)).toEqual(['switchyard'])
    expect(task.split('test')).toEqual([{ input: 'aba', target: 'ABA', alternatives: [] }])
    expect(task.metrics.map(({ compute }) => compute(task.split('test'), ['ABB']))).toEqual([
      { 'symbol error rate': 1 / 3 },
      { 'wrong answers': 1 },
    ])
    expect(task.units).toEqual({ one: 'pair', many: 'pairs' })
  })
})

describe('settings of pairs that are wrong', () => {
  it.each(['0:negative,1:positive', 'good', '0=', '='])('labels %j are refused with their form', labels => {
    expect(() => pairsSettingsOf({ path: 'x.csv', labels })).toThrow(
      new ConfigError(`--labels "${labels}": expected value=word pairs such as 0=negative,1=positive`),
    )
  })
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ByteVocabulary } from '../text/bytes.js'
import { defineTask } from './define-task.js'
import { readAsSource } from './file-as-source.js'
import type { ExamplesOfFile, FileAsSource } from './file-as-source.js'
import type { Fields, Preprocessor } from './preprocessor.js'
import { mapPreprocessor } from './preprocessors/seqio/map-preprocessor.js'
import { saveTask } from './save-task.js'
import { csvSource } from './sources/file-sources.js'
import { functionSource } from './sources/iterable-source.js'

const vocabulary = new ByteVocabulary()
const both = ['input', 'target'] as const

/** 400 reviews. One in 80 has the label 1: none of the 16 evenly spaced ones. */
const rows = Array.from({ length: 400 }, (_, i) => ({
  review: `item ${i}`,
  label: i % 80 === 7 ? 1 : 0,
  note: `n${i}`,
}))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-source-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Reads a file of this text as the source of a task with this preprocessor. */
async function read(
  text: string,
  preprocessor: Preprocessor,
  sides: readonly ('input' | 'target')[],
  options: Omit<FileAsSource, 'path'> = {},
): Promise<ExamplesOfFile> {
  const path = join(folder, 'data.csv')
  await writeFile(path, text)
  const task = await defineTask({
    name: 'opinions',
    source: functionSource('rows', () => rows),
    splitBy: null,
    preprocessors: [preprocessor],
    features: { inputs: { vocabulary }, targets: { vocabulary } },
  }).load()
  return (await readAsSource(task, { path, ...options }, sides))!
}

const words: Record<string, string> = { 0: 'good', 1: 'bad' }
const labelOf = ({ review, label }: Fields): Fields => ({ inputs: review, targets: String(label) })
/** As in a program that looks a label up: there is no target for an unknown one. */
const wordOf = ({ review, label }: Fields): Fields => ({ inputs: review, targets: words[String(label)] })

describe('readAsSource', () => {
  it.each([
    ['its text', labelOf],
    ['a word that is looked up', wordOf],
  ])('never invents a target, also where one label is rare and the target is %s', async (_, map) => {
    const preprocessor = mapPreprocessor('toText', map)
    await expect(read('review,note\nabc,x\n', preprocessor, both, { header: true })).rejects.toThrow(
      'the task opinions makes its targets of "label", and this file has no such column',
    )
    const named = await read('review,verdict\nabc,1\nde,0\n', preprocessor, both, { target: 'verdict' })
    expect(named.examples.map(({ input, target }) => [input, target])).toEqual(
      [1, 0].map((label, i) => [['abc', 'de'][i], map({ review: '', label }).targets]),
    )
    const { examples } = await read('review\nabc\n', preprocessor, ['input'])
    expect(examples.map(({ input }) => input)).toEqual(['abc'])
  })

  it('fills only columns without which there is no example, and says so', async () => {
    // Nothing depends on `note`, which is left out.
    const plain = await read('review,label\nabc,1\n', mapPreprocessor('toText', labelOf), both)
    expect(plain.examples[0].fields).not.toHaveProperty('note')
    expect(plain.notes.join('\n')).not.toContain('note')
    const keepAll = mapPreprocessor('keepAll', fields => ({ ...fields, ...wordOf(fields) }))
    const { examples, notes } = await read('review\nabc\n', keepAll, ['input'])
    expect(examples).toMatchObject([{ input: 'abc', fields: { label: 0 } }])
    expect(notes).toContainEqual(
      expect.stringContaining('data.csv has no column "label": all its rows get the value of the first record'),
    )
  })

  it('reads no source if its fields are known, and knows the content that a task was trained on', async () => {
    const [own, copy] = ['own.csv', 'copy.csv'].map(name => join(folder, name))
    const text = `review,label,size\n${rows.map(({ review, label }, i) => `${review},${label},${i}\n`).join('')}`
    await Promise.all([own, copy].map(path => writeFile(path, text)))
    const open = vi.fn((split?: string) => csvSource(own).open(split))
    const definition = defineTask({
      name: 'sized',
      source: { name: 'own', splits: null, open },
      preprocessors: [
        mapPreprocessor('toText', ({ size, ...row }) => wordOf({ ...row, size: (size as string).trim() })),
      ],
      features: { inputs: { vocabulary }, targets: { vocabulary } },
    })
    const { data } = saveTask(await definition.load())
    const bare = await definition.load(undefined, { withoutData: true })
    expect(open).toHaveBeenCalledTimes(1)
    expect(bare.split('train')).toEqual([])
    const again = await readAsSource(bare, { path: copy }, both, data!.needs!)
    expect(data!.digests).toEqual([again!.digest])
    expect(again!.examples.length).toBe(400)
    await writeFile(copy, 'review\nabc\n')
    const { examples, notes, digest } = (await readAsSource(
      bare,
      { path: copy, header: true },
      ['input'],
      data!.needs!,
    ))!
    expect(data!.digests).not.toContain(digest)
    expect(examples).toMatchObject([{ input: 'abc', target: 'good' }])
    expect(notes.join('\n')).toMatch(/no column "label": all its rows get.*\n.*no column "size": all its rows get/)
    expect(open).toHaveBeenCalledTimes(1)
  })

  it('says which columns a file lacks if the targets depend on none that can be told', async () => {
    const constant = mapPreprocessor('constant', ({ review }) => ({ inputs: review, targets: 'yes' }))
    await expect(read('review,verdict\nabc,1\n', constant, both, { target: 'verdict' })).rejects.toThrow(
      '--target verdict: the task opinions makes its targets of no column of its source',
    )
    await expect(read('review\nabc\n', constant, both)).rejects.toThrow('it lacks "label", "note"')
    expect((await read('review,label,note\nabc,1,x\n', constant, both)).examples).toMatchObject([{ target: 'yes' }])
  })
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ConfigError, FileError } from '../base/errors.js'
import { splitOf } from './source.js'
import { taskFromSpec, taskSpec } from './task.js'
import { g2pTask, loadTask, MAX_TARGET_SYMBOLS, pairsTask } from './tasks.js'

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
    expect(task.vocabSize).toBe(3 + 27 + 39)
    const letters = task.inputs.encode("'z")
    const phonemes = task.targets.encode('AA ZH')
    expect([letters, phonemes]).toEqual([
      [3, 29],
      [30, 68],
    ])
    expect(task.targets.decode(phonemes)).toBe('AA ZH')
  })

  it('knows every symbol of every split', () => {
    for (const split of ['train', 'validation', 'test'] as const) {
      for (const { input, target } of task.split(split)) {
        expect(task.inputs.encode(input).includes(2) || task.targets.encode(target).includes(2)).toBe(false)
      }
    }
  })

  it('splits its examples, with alternatives', () => {
    expect((['train', 'validation', 'test'] as const).map(name => task.split(name).length)).toEqual([
      116_611, 1_258, 6_226,
    ])
    expect(task.split('validation')[0]).toEqual({ input: 'abbe', target: 'AE B IY', alternatives: ['AE B EY'] })
  })

  it('lower-cases what a user types and counts phonemes', () => {
    expect(task.prepare(' Switchyard ')).toBe('switchyard')
    expect(task.symbols('S W IH CH')).toEqual(['S', 'W', 'IH', 'CH'])
  })
})

describe('pairsTask', () => {
  // Inputs whose split is known (source.test.ts), so that each split has some.
  const inputs = ['switchyard', 'a', 'aba', 'aba', 'abbe']

  it('reads symbols where targets are spaced', async () => {
    const task = await pairsTask(
      write(
        'symbols.tsv',
        inputs.map((input, i) => `${input}\tS${i} S1`),
      ),
    )
    expect(task.name).toBe('symbols')
    expect(task.targets.toJSON().kind).toBe('words')
    expect(task.vocabSize).toBe(task.inputs.size)
    // From the training split: the letters of "switchyard" and "a", and S0, S1.
    expect(task.vocabSize).toBe(3 + 10 + 2)
    expect(task.targets.encode('S0 S1 S2')).toEqual([13, 14, 2])
    expect(task.symbols('S0 S1')).toEqual(['S0', 'S1'])
    expect(task.split('test')).toEqual([{ input: 'aba', target: 'S2 S1', alternatives: ['S3 S1'] }])
  })

  it('reads characters where targets are not spaced, with the same ids on both sides', async () => {
    const task = await pairsTask(write('past.tsv', ['go\twent', 'switchyard\tswitchyards', 'a\tb c']))
    expect(task.targets).toBe(task.inputs)
    expect(task.targets.decode(task.targets.encode('went'))).toBe('went')
    expect(task.symbols('b c')).toEqual(['b', ' ', 'c'])
  })

  it('reads characters where there are too many different words', async () => {
    const many = Array.from({ length: MAX_TARGET_SYMBOLS }, (_, i) => `w${i} w${i + 1}\tv${i} v${i + 1}`)
    const kind = async (lines: string[]) => (await pairsTask(write('many.tsv', lines))).targets.toJSON().kind
    expect(await kind(many.slice(0, 900))).toBe('words')
    expect(await kind([...many, ...many.map(line => line.replaceAll('v', 'u'))])).toBe('characters')
  })

  it('keeps a repeated input in training as often as it stands there', async () => {
    const task = await pairsTask(write('twice.tsv', ['a\tx', 'a\ty', 'a\tx']))
    expect(task.split('train').map(e => e.target)).toEqual(['x', 'y', 'x'])
    expect(task.split('test')).toEqual([])
  })

  it('says when there is nothing to train on', async () => {
    const path = write('held-out.tsv', ['aba\tx'])
    expect(splitOf('aba')).toBe('test')
    await expect(pairsTask(path)).rejects.toThrow(FileError)
    await expect(pairsTask(path)).rejects.toThrow(/1 examples, and none of them falls into the training split/)
  })
})

describe('a task as JSON', () => {
  const roundTrip = (spec: unknown): unknown => JSON.parse(JSON.stringify(spec))

  it('is enough for inference without the data', async () => {
    const path = write('gone.tsv', ['switchyard\tS W', 'a\tAH'])
    for (const task of [await g2pTask(), await pairsTask(path)]) {
      const codec = taskFromSpec(roundTrip(taskSpec(task)))
      expect(codec.name).toBe(task.name)
      expect(codec.vocabSize).toBe(task.vocabSize)
      expect(codec.inputs.encode('switchyard')).toEqual(task.inputs.encode('switchyard'))
      expect(codec.targets.encode('S W')).toEqual(task.targets.encode('S W'))
      expect(codec.symbols('S W')).toEqual(task.symbols('S W'))
      expect(taskSpec(codec)).toEqual(taskSpec(task))
    }
  })

  it('keeps one vocabulary one', async () => {
    const spec = taskSpec(await pairsTask(write('one.tsv', ['a\tb'])))
    expect(spec.targets).toBeUndefined()
    const codec = taskFromSpec(roundTrip(spec))
    expect(codec.targets).toBe(codec.inputs)
  })

  it('finds the data again, and keeps the vocabularies it was trained with', async () => {
    const path = write('grows.tsv', ['a\tb'])
    const spec = roundTrip(taskSpec(await pairsTask(path)))
    write('grows.tsv', ['a\tb', 'switchyard\tzzz'])
    const again = await loadTask(spec)
    expect(again.split('train').length).toBe(2)
    expect(again.vocabSize).toBe(5)
    expect((await loadTask(taskSpec(await g2pTask()))).split('test').length).toBe(6_226)
  })

  it('is checked', () => {
    const characters = { kind: 'characters', symbols: ['a'] }
    const good = { name: 'x', source: { kind: 'cmudict' }, lowercase: true, inputs: characters }
    expect(taskFromSpec(good).vocabSize).toBe(4)
    for (const bad of [
      null,
      {},
      { ...good, name: '' },
      { ...good, source: { kind: 'web' } },
      { ...good, inputs: undefined },
      { ...good, more: 1 },
    ]) {
      expect(() => taskFromSpec(bad)).toThrow(ConfigError)
    }
  })
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { UserValues } from '../../config/user-values.js'
import { makeTask, taskCodec } from '../../data/task.js'
import type { TaskCodec } from '../../data/task.js'
import { codecToFineTune } from '../../data/tasks/registry.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { CharacterVocabulary, WordVocabulary } from '../../text/symbols.js'
import { taskOf } from './model-training.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-model-training-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, line: (i: number) => string): string {
  const path = join(folder, name)
  writeFileSync(path, Array.from({ length: 120 }, (_, i) => line(i)).join('\n'))
  return path
}

const bytes = new ByteVocabulary()
const codec = taskCodec({ inputs: bytes, targets: bytes })
const examples = [{ input: 'the jury said', target: 'at nn vbd', alternatives: [] }]
/** Tasks without their data, which is large. */
const known = {
  taskNamed: (name: string, own: TaskCodec) => Promise.resolve(makeTask({ name, codec: own, examples })),
} as unknown as UserValues

describe('the task that a model is trained on', () => {
  const areNumbered = async (...[options, texts]: [Parameters<typeof taskOf>[1], Parameters<typeof taskOf>[2]]) =>
    (await taskOf(known, options, texts)).task.codec.targets instanceof MarkedWordsVocabulary

  it('numbers words, from a task and from a file, unless a run did not', async () => {
    const pos = { task: 'pos', set: [] }
    const tags = { data: write('tags.tsv', i => `w${i} is ${i % 7}\tN V ${i % 3}`), set: [] }
    for (const options of [pos, tags]) expect(await areNumbered(options, { codec })).toBe(true)
    expect(await areNumbered(pos, { codec, taskName: 'brown' })).toBe(true)
    // Runs of older versions did not number words.
    expect(await areNumbered(pos, { codec, taskName: 'pos' })).toBe(false)
    expect(await areNumbered(tags, { codec, taskName: 'other' })).toBe(false)
    const numbered = codecToFineTune('pos', codec)
    for (const [options, taskName] of [
      [pos, 'pos'],
      [tags, 'other'],
    ] as const)
      expect(await areNumbered(options, { codec: numbered, taskName })).toBe(true)
    const { task } = await taskOf(known, pos, { codec })
    expect(task.notes).toContain("words are numbered on both sides, by the model's sentinels")
  })

  it('has no labels that a run has no word for', async () => {
    const [inputs, targets] = [new CharacterVocabulary([...'w0123456789']), new WordVocabulary(['odd', 'even'])]
    const texts = { codec: taskCodec({ inputs, targets }), taskName: 'numbers' }
    const data = write('labels.tsv', i => `w${i}\t${['odd', 'even', 'zero'][i % 3]}`)
    await expect(taskOf(known, { data, set: [] }, texts)).rejects.toThrow(
      /labels: \d+ of \d+ training targets \(\d+\.\d%\) have labels that the model does not have: "zero"\. It has the words "odd", "even" only/,
    )
  })
})

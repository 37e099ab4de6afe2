import { describe, expect, it } from 'vitest'
import { TrainIterator } from '../iterator.js'
import { taskStream } from '../streams/task-stream.js'
import { readCodec, saveCodec, taskCodec } from '../task.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'
import { codecToFineTune, loadTask } from './registry.js'
import { subjectAndBody } from './spam.js'

// The corpora are npm packages that are no dependencies: see their sources' tests for what happens without them.
describe('the task brown', () => {
  it('corrupts spans of whole rows, anew in each epoch, and resumes exactly', async () => {
    const task = await loadTask({ kind: 'brown' })
    expect(task.isRandom).toBe(true)
    expect(task.split('test')).toEqual([])
    const lengths = { inputs: 256, targets: 64 }
    const tokens = task.tokens('train', { lengths, seed: 3 })
    const { inputs, targets } = tokens.get(5)
    expect([inputs.length, targets.length, inputs.at(-1), targets.at(-1)]).toEqual([256, 58, 1, 1])
    expect([targets[0], inputs.filter(id => id >= 32_000).length]).toEqual([
      32_099,
      targets.filter(id => id >= 32_000).length,
    ])
    expect(task.tokens('train', { lengths, seed: 4 }).get(5).targets).not.toEqual(targets)
    const size = { rows: 8, inputLength: 256, targetLength: 64, seed: 0 }
    const begin = (): TrainIterator => new TrainIterator(taskStream(task, size), size)
    const first = begin()
    const batch = first.next()
    expect([batch.examples, batch.tokens > 8 * 300]).toEqual([8, true])
    const second = begin()
    second.restore(JSON.parse(JSON.stringify(first.state())))
    expect(second.next()).toEqual(first.next())
  }, 60_000)
})

describe('the task pos', () => {
  it('has one tag for each word', async () => {
    const task = await loadTask({ kind: 'pos' })
    const test = task.split('test')
    expect(test.length).toBeGreaterThan(1000)
    for (const { input, target } of test.slice(0, 50)) expect(target.split(' ').length).toBe(input.split(' ').length)
    // T5 can write all words and tags: quotes are plain ones.
    const texts = test.flatMap(({ input, target }) => [input, target]).join(' ')
    expect([texts.includes('`'), texts.includes(' " ')]).toEqual([false, true])
    const { inputs, targets } = task.tokens('test').get(0)
    expect(task.codec.targets.decode(targets)).toBe(test[0].target)
    // Word and tag have the same sentinel before them, as T5 learned them in pretraining.
    const sentinels = (ids: Int32Array): number[] => [...ids].filter(id => id >= 32_000)
    expect(sentinels(targets)).toEqual(test[0].target.split(' ').map((_, k) => 32_099 - k))
    expect(sentinels(inputs)).toEqual(sentinels(targets))
  }, 60_000)

  it('reads tokens by the codec of a saved run as it is, and numbers words of a model to fine-tune', async () => {
    const t5 = await loadT5Vocabulary()
    // A run from before words were numbered.
    const old = readCodec(saveCodec({ name: 'pos', codec: taskCodec({ inputs: t5, targets: t5 }) }))
    const { codec } = await loadTask({ kind: 'pos' }, old)
    expect(codec.inputs.encode('old man')).toEqual(t5.encode('old man'))
    const tuned = await loadTask({ kind: 'pos' }, codecToFineTune('pos', old))
    expect(tuned.codec.inputs.encode('old man')).toEqual(t5.encode('<extra_id_0> old<extra_id_1> man'))
    expect(codecToFineTune('spam', old)).toBe(old)
  }, 60_000)
})

describe('the task spam', () => {
  it('reads the subject and the beginning of the body', () => {
    const message = 'Received: x\nSUBJECT: one\n two\nX-Spam: yes\n\nbody\n\n text'
    expect(subjectAndBody(message)).toBe('Subject: one two body text')
    expect(subjectAndBody('no headers')).toBe('Subject: ')
    expect(subjectAndBody(`a: b\n\n${'x'.repeat(5000)}`).length).toBe(800)
  })
})

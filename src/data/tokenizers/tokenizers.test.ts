import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { CharacterVocabulary, WordVocabulary } from '../../text/symbols.js'
import type { Example } from '../example.js'
import { makeTask, taskCodec } from '../task.js'
import type { Task, TaskCodec } from '../task.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'
import { chooseTokenizers } from './choose.js'
import { coverageWarnings } from './coverage.js'
import { checkLabels } from './new-labels.js'
import { tokenizers } from './names.js'
import { makeVocabularies } from './tokenizers.js'
import { isWordForWord, numberBySentinels, numberWords } from './word-for-word.js'

const examplesOf = (pairs: readonly (readonly [string, string])[]): Example[] =>
  pairs.map(([input, target]) => ({ input, target, alternatives: [] }))
const many = (count: number, pair: (i: number) => readonly [string, string]): Example[] =>
  examplesOf(Array.from({ length: count }, (_, i) => pair(i)))

describe('chooseTokenizers', async () => {
  const t5 = await loadT5Vocabulary()
  const choose = (train: Example[], heldOut: Example[] = []): string =>
    Object.values(chooseTokenizers(train, heldOut, t5)).join(' ')
  const sentence = 'The committee said on Friday that it would look at the proposal again in the spring.'

  it('reads labels and tags by words, and the sentences before them by pieces', () => {
    expect(choose(many(300, i => [`${sentence} ${i}`, i % 2 ? 'positive' : 'negative']))).toBe('t5 words')
    expect(choose(many(300, i => [`The film was good, said ${i}.`, i % 2 ? 'positive' : 'negative']))).toBe('t5 words')
    // T5 has no backtick.
    expect(choose(many(300, i => [`\`\` ${sentence} ${i} ''`, `S${i % 7} S${i % 11}`]))).toBe('t5 words')
    expect(choose(many(300, i => [`word${i}`, `S${i % 7} S${i % 11}`]))).toBe('bytes words')
  })

  it('reads numbers, inflections and other scripts by bytes', () => {
    expect(
      choose(many(3000, i => [`March ${i % 31}, ${1900 + (i % 99)}`, `${1900 + (i % 99)}-03-${i % 31} ${i}`])),
    ).toBe('bytes bytes')
    expect(choose(many(300, i => [`walk${i}`, `walked${i}`]))).toBe('bytes bytes')
    expect(
      choose(many(300, i => [`${'Привет, как дела сегодня? '.repeat(4)}${i}`, `${'хорошо '.repeat(9)}${i}`])),
    ).toBe('bytes bytes')
  })

  it('reads sentences by pieces', () => {
    expect(choose(many(300, i => [`${sentence} ${i}`, `It was said that number ${i} would be looked at again.`]))).toBe(
      't5 t5',
    )
  })

  it('reads targets by words only if held-out ones have no others', () => {
    const tags = (i: number): readonly [string, string] => [`word${i}`, `S${i % 7} S${i % 11}`]
    expect(choose(many(300, tags), many(20, tags))).toBe('bytes words')
    expect(
      choose(
        many(300, tags),
        many(20, i => [`word${i}`, `S${i} T${i}`]),
      ),
    ).toBe('bytes bytes')
  })
})

describe('makeVocabularies', () => {
  const examples = examplesOf([
    ['grüße an alle', 'hello all'],
    ['the cat', 'a cat'],
  ])

  it('makes both sides of any tokenizers that fit', async () => {
    for (const inputs of tokenizers) {
      for (const targets of tokenizers) {
        const made = makeVocabularies({ inputs, targets }, examples)
        if (inputs !== targets && ['t5', 'bytes'].includes(inputs) && ['t5', 'bytes'].includes(targets)) {
          await expect(made).rejects.toThrow(ConfigError)
          continue
        }
        const both = await made
        expect(both.inputs === both.targets).toBe(inputs === targets)
        for (const { input, target } of examples) {
          expect(both.inputs.decode(both.inputs.encode(input))).toBe(input)
          expect(both.targets.decode(both.targets.encode(target))).toBe(target)
        }
        if (inputs === targets) continue
        // No symbol of one side has the id of a symbol of the other.
        const ids = new Set(both.inputs.encode(examples.map(({ input }) => input).join(' ')))
        expect(both.targets.encode('hello all a cat').filter(id => ids.has(id))).toEqual([])
      }
    }
  })

  it("keeps those of T5's pieces that occur, and can still write all other text", async () => {
    const { inputs } = await makeVocabularies({ inputs: 't5', targets: 't5' }, examples)
    const t5 = await loadT5Vocabulary()
    expect(inputs.size).toBeLessThan(500)
    expect(inputs.encode('the cat').length).toBe(t5.encode('the cat').length)
    expect(inputs.encode('Switchyard 1999!')).not.toContain(inputs.unkId)
    expect(inputs.decode(inputs.encode('Switchyard 1999!'))).toBe('Switchyard 1999!')
  })
})

describe('coverageWarnings', () => {
  it('gives the share of held-out targets that can never be answered', async () => {
    const train = examplesOf([['a', 'one two']])
    const codec = await makeVocabularies({ inputs: 'characters', targets: 'words' }, train)
    const heldOut = examplesOf([
      ['a', 'two'],
      ['b', 'two three'],
      ['a', 'four'],
      ['a', 'one'],
    ])
    expect(coverageWarnings(codec, { train, heldOut }, 'chosen')).toEqual([
      'warning: 2 of 4 held-out targets (50.0%) hold what the vocabulary does not have, such as "three", "four": the model can never answer them. Bytes can write any text: --tokenizer bytes',
      'warning: 1 of 4 held-out inputs (25.0%) hold what the vocabulary does not have, such as "b": the model sees these parts as unknown',
    ])
    expect(
      coverageWarnings(
        await makeVocabularies({ inputs: 'bytes', targets: 'bytes' }, train),
        { train, heldOut },
        'chosen',
      ),
    ).toEqual([])
    // A model that is fine-tuned has its vocabulary already: `finetune` has no option for it.
    const [targets] = coverageWarnings(codec, { train, heldOut }, 'model')
    expect(targets).toContain("can never answer them. The vocabulary is the model's: begin with a model")
  })
})

describe('checkLabels', () => {
  const labelled = (codec: TaskCodec, labels: readonly string[]): Task =>
    makeTask({
      name: 'moods',
      codec,
      splits: { train: examplesOf(labels.map(label => ['a', label])), validation: [], test: [] },
    })
  it('refuses labels that the words of a model lack, with their share and what to do', () => {
    const [inputs, targets] = [new CharacterVocabulary(['a']), new WordVocabulary(['good', 'bad', 'x'])]
    const codec = taskCodec({ inputs, targets })
    expect(() => checkLabels(labelled(codec, ['good', 'mixed', 'mixed', 'calm']))).toThrow(
      'moods: 3 of 4 training targets (75.0%) have labels that the model does not have: "mixed", "calm". It has the words "good", "bad", "x" only, and can learn no others. Leave these rows out, give their labels a word that it has (--labels), or train a new model',
    )
    const marked = taskCodec({ inputs, targets: new MarkedWordsVocabulary(targets, [20, 21]) })
    expect(() => checkLabels(labelled(marked, ['mixed']))).toThrow('1 of 1 training targets')
    // A tagger's targets are tags, one for each word: one tag that it lacks is enough.
    expect(() => checkLabels(labelled(marked, ['good bad', 'good mixed', 'bad']))).toThrow(
      '1 of 3 training targets (33.3%) have labels that the model does not have: "mixed". It',
    )
    expect(() => checkLabels(labelled(codec, Array<string>(9).fill('good mixed')))).toThrow('"mixed"')
    const sentences = Array.from({ length: 60 }, (_, i) => `good word ${i}`)
    expect(() => checkLabels(labelled(codec, sentences))).not.toThrow()
    for (const fine of [labelled(codec, ['good', 'x']), labelled(marked, ['bad'])])
      expect(() => checkLabels(fine)).not.toThrow()
    const bytes = new ByteVocabulary()
    expect(() => checkLabels(labelled(taskCodec({ inputs, targets: bytes }), ['mixed']))).not.toThrow()
  })
})

describe('words that are numbered', () => {
  const tagged = examplesOf([
    ['the old man', 'at jj nn'],
    ['he sings well .', 'pps vbz rb .'],
  ])

  it('are those of data that goes word for word', async () => {
    const bytes = new ByteVocabulary()
    expect(isWordForWord(tagged, bytes)).toBe(true)
    const other = examplesOf([['the old man', 'at jj']])
    expect(isWordForWord([...tagged, ...other], bytes)).toBe(false)
    expect(isWordForWord([...many(40, () => ['a b c', 'x y z']), ...other], bytes)).toBe(true)
    // One word each: nothing to number.
    expect(
      isWordForWord(
        many(40, i => [`walk${i}`, `walked${i}`]),
        bytes,
      ),
    ).toBe(false)
    // Numbered words are joined by one space: bytes write these targets as they are, words and T5's pieces do not.
    const lines = many(40, () => ['if (a) b()', 'if a:\n  b()'])
    expect(isWordForWord(lines, bytes)).toBe(false)
    const { targets } = await makeVocabularies({ inputs: 'words', targets: 'words' }, lines)
    expect([isWordForWord(lines, targets), isWordForWord(lines, await loadT5Vocabulary())]).toEqual([true, true])
  })

  it('have the same markers on both sides, after all other ids', async () => {
    const plain = await makeVocabularies({ inputs: 't5', targets: 'words' }, tagged)
    const { inputs, targets } = numberWords(plain, tagged)
    const first = plain.targets.size
    const markersIn = (ids: readonly number[]): number[] => ids.filter(id => id >= first)
    expect(markersIn(inputs.encode('the old man'))).toEqual([first, first + 1, first + 2])
    expect(targets.encode('at jj')).toEqual([
      first,
      plain.targets.encode('at')[0],
      first + 1,
      ...plain.targets.encode('jj'),
    ])
    expect(inputs.decode(inputs.encode('the old man'))).toBe('the old man')
    expect([inputs.size, targets.size]).toEqual([first + 6, first + 6])
  })

  it('take the sentinels of a model that has any, once', async () => {
    const t5 = await loadT5Vocabulary()
    const numbered = numberBySentinels({ inputs: t5, targets: t5 })
    expect(numbered.inputs).toBe(numbered.targets)
    expect(numbered.inputs.encode('old man')).toEqual(t5.encode('<extra_id_0> old<extra_id_1> man'))
    expect(numbered.inputs.size).toBe(t5.size)
    expect(numberBySentinels(numbered)).toEqual(numbered)
  })
})

import { basename, extname, resolve } from 'node:path'
import { FileError, unreachable } from '../base/errors.js'
import { LETTERS, loadCmudict, PHONEMES } from './cmudict.js'
import { mergeInputs, splitExamples } from './source.js'
import type { Example, SplitName } from './source.js'
import { taskCodec, taskFromSpec } from './task.js'
import type { Task, TaskCodec } from './task.js'
import { readPairs } from './tsv.js'
import { CharacterVocabulary, codePoints, sideBySide, sortedSymbols, splitWords } from '../text/symbols.js'
import type { Vocabulary } from '../text/vocabulary.js'

/** More different words than this are a language, not a set of symbols: such targets are learned by characters. */
export const MAX_TARGET_SYMBOLS = 1_000

/** Spelling to phonemes on the CMU Pronouncing Dictionary: 27 letters and 39 phonemes with ids of their own. */
export async function g2pTask(): Promise<Task> {
  const { characters, words } = sideBySide(LETTERS, PHONEMES)
  const codec = taskCodec({
    name: 'g2p',
    source: { kind: 'cmudict' },
    lowercase: true,
    inputs: characters,
    targets: words,
  })
  return withData(codec, await loadCmudict())
}

/**
 * A user's file of lines `input TAB target`. Inputs are read by characters. So are targets, with the same ids, unless they
 * look like sequences of symbols: at least half of them hold a space, and there are at most 1,000 different words. Then each
 * word is a token. The vocabularies are made from the training split alone.
 */
export async function pairsTask(path: string): Promise<Task> {
  const file = resolve(path)
  const examples = await readAll(file)
  const { train } = splitExamples(examples)
  if (train.length === 0) {
    throw new FileError(
      `${path}: ${examples.length} examples, and none of them falls into the training split; more are needed`,
    )
  }
  const source = { kind: 'pairs', path: file } as const
  const name = basename(file, extname(file))
  return withData(taskCodec({ name, source, lowercase: false, ...pairsVocabularies(train) }), examples)
}

/** Both vocabularies for pairs of texts, by the rule of `pairsTask`. */
export function pairsVocabularies(examples: readonly Example[]): { inputs: Vocabulary; targets: Vocabulary } {
  const inputs = examples.map(e => e.input)
  const targets = examples.map(e => e.target)
  const spaced = targets.filter(target => splitWords(target).length > 1).length
  if (spaced * 2 >= targets.length) {
    const symbols = sortedSymbols(targets, splitWords)
    if (symbols.length <= MAX_TARGET_SYMBOLS) {
      const { characters, words } = sideBySide(sortedSymbols(inputs, codePoints), symbols)
      return { inputs: characters, targets: words }
    }
  }
  const shared = CharacterVocabulary.fromTexts([...inputs, ...targets])
  return { inputs: shared, targets: shared }
}

/** A saved task with its data, read again from where it came from. The vocabularies stay those of the spec. */
export async function loadTask(spec: unknown): Promise<Task> {
  const codec = taskFromSpec(spec)
  const { source } = codec
  switch (source.kind) {
    case 'cmudict':
      return withData(codec, await loadCmudict())
    case 'pairs':
      return withData(codec, await readAll(source.path))
    default:
      return unreachable(source)
  }
}

async function readAll(path: string): Promise<Example[]> {
  const examples: Example[] = []
  for await (const example of readPairs(path)) examples.push(example)
  return examples
}

function withData(codec: TaskCodec, raw: readonly Example[]): Task {
  const examples = raw.map(e => ({ ...e, input: codec.prepare(e.input) }))
  const { train, validation, test } = splitExamples(examples)
  const splits: Record<SplitName, readonly Example[]> = {
    train,
    validation: mergeInputs(validation),
    test: mergeInputs(test),
  }
  return { ...codec, split: name => splits[name] }
}

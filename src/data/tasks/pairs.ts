import { basename, extname, resolve } from 'node:path'
import { z } from 'zod'
import { FileError } from '../../base/errors.js'
import { CharacterVocabulary, codePoints, sideBySide, sortedSymbols, splitWords } from '../../text/symbols.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import { splitExamples } from '../source.js'
import type { Example } from '../source.js'
import { makeTask, taskCodec } from '../task.js'
import type { Task, TaskCodec } from '../task.js'
import { readPairs } from '../tsv.js'
import { taskKind } from './kind.js'

/** Targets with more different words than this are natural language, not symbols: they are learned by characters. */
export const MAX_TARGET_SYMBOLS = 1_000

/**
 * A user's file of lines `input TAB target`. Inputs are encoded by characters. So are targets, with the same ids,
 * unless they look like sequences of symbols: at least half of them contain a space, and there are at most 1,000
 * different words. Then each word is a token. The vocabularies are made from the training split alone, unless a `codec`
 * is given.
 */
export async function pairsTask(path: string, codec?: TaskCodec): Promise<Task> {
  const file = resolve(path)
  const examples: Example[] = []
  for await (const example of readPairs(file)) examples.push(example)
  return makeTask({
    name: basename(file, extname(file)),
    config: { kind: 'pairs', path: file },
    codec: codec ?? codecFor(path, examples),
    examples,
  })
}

function codecFor(path: string, examples: readonly Example[]): TaskCodec {
  const { train } = splitExamples(examples)
  if (train.length === 0) {
    throw new FileError(
      examples.length === 0
        ? `${path}: this file has no lines; each line must be: input TAB target`
        : `${path}: none of its ${examples.length} examples fell into the training split; add more examples`,
    )
  }
  return taskCodec(pairsVocabularies(train))
}

/** The vocabularies of both sides, by the rule of `pairsTask`. */
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

export const pairs = taskKind('pairs', { path: z.string().min(1) }, ({ path }, codec) => pairsTask(path, codec))

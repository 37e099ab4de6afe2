import { formatCount } from '../base/format.js'
import { MarkedWordsVocabulary } from '../text/marked-words.js'
import { leafTasks } from './mixture.js'
import type { Task } from './task.js'
import { otherNumberOfWords } from './tokenizers/word-for-word.js'

/** What a user should know about a task before training: its own notes, and warnings about its examples and splits. */
export const taskNotes = (task: Task): string[] => [
  ...(task.notes ?? []),
  ...leafTasks(task).flatMap(leaf => {
    const prefix = leaf === task ? '' : `${leaf.name}: `
    return [...wordCountWarnings(leaf, prefix), ...overlapWarnings(leaf, prefix)]
  }),
]

/** A tagger whose words are numbered learns a wrong number where a word has no tag, or two. */
function wordCountWarnings(task: Task, prefix: string): string[] {
  if (!(task.codec.targets instanceof MarkedWordsVocabulary)) return []
  return (['train', 'validation', 'test'] as const).flatMap(name => {
    const examples = task.split(name)
    const [inputs, targets] = [examples.map(({ input }) => input), examples.map(({ target }) => target)]
    const other = otherNumberOfWords(inputs, targets)
    if (other.length === 0) return []
    const share = ((100 * other.length) / examples.length).toFixed(1)
    const shown = [inputs, targets].map(texts => JSON.stringify(texts[other[0]].slice(0, 40)))
    const what = name === 'train' ? 'training' : name
    return [
      `warning: ${prefix}${formatCount(other.length)} of ${formatCount(examples.length)} ${what} targets (${share}%) have another number of tags than their inputs have words, such as ${shown[0]} with ${shown[1]}: words and tags go together by their numbers`,
    ]
  })
}

/** Splits by a hash of the input share no input; those of files, columns and sources may. */
function overlapWarnings(task: Task, prefix: string): string[] {
  const heldOut = [...task.split('validation'), ...task.split('test')]
  if (heldOut.length === 0) return []
  const known = new Set(task.split('train').map(({ input }) => input))
  const shared = heldOut.filter(({ input }) => known.has(input)).length
  if (shared === 0) return []
  return [
    `warning: ${prefix}${formatCount(shared)} of ${formatCount(heldOut.length)} held-out examples have inputs that are trained on as well: figures on them do not show what the model does with new inputs`,
  ]
}

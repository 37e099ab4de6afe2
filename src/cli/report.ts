import { formatCount, formatTable } from '../base/format.js'
import type { Example } from '../data/source.js'
import type { TaskCodec } from '../data/task.js'
import type { Evaluation } from '../train/evaluate.js'

/** What a task's examples are called. */
export const unitOf = (task: Pick<TaskCodec, 'source'>): string => (task.source.kind === 'cmudict' ? 'words' : 'pairs')

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`

/** So many of a task's examples: "1 pair", "6,226 words". */
export const countExamples = (count: number, task: Pick<TaskCodec, 'source'>, kind = ''): string =>
  `${formatCount(count)} ${kind}${count === 1 ? unitOf(task).slice(0, -1) : unitOf(task)}`

/** Error rates in a line, in the task's own terms, and on how many of how many examples. */
export function formatRates(
  { rates: { per, wer, examples }, total, split }: Pick<Evaluation, 'rates' | 'total' | 'split'>,
  task: Pick<TaskCodec, 'source'>,
): string {
  const names =
    task.source.kind === 'cmudict'
      ? ['phoneme error rate (PER)', 'word error rate (WER)']
      : ['symbol error rate', 'wrong answers']
  const part = examples < total ? `${formatCount(examples)} of the ` : ''
  return `${names[0]} ${percent(per)}, ${names[1]} ${percent(wer)}, on ${part}${countExamples(total, task, split === 'train' ? 'training ' : 'held-out ')}`
}

/** Some predictions beside the truth, spread over the examples. */
export function formatSamples(
  { examples, predictions }: Pick<Evaluation, 'examples' | 'predictions'>,
  count: number,
): string {
  const shown = Math.min(count, examples.length)
  const rows = Array.from({ length: shown }, (_, k) => {
    const i = Math.floor((k * examples.length) / shown)
    return [`    ${examples[i].input}`, shorten(predictions[i]), verdict(predictions[i], examples[i])]
  })
  return formatTable([['    input', 'predicted', 'truth'], ...rows])
}

function verdict(predicted: string, { target, alternatives }: Example): string {
  if (predicted === target) return 'right'
  return alternatives.includes(predicted) ? `right (also ${target})` : `wrong: ${target}`
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}...` : text)

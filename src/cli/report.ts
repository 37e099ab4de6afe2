import { formatCount, formatTable } from '../base/format.js'
import type { ErrorRates } from '../data/metrics.js'
import type { Example } from '../data/source.js'
import type { TaskCodec } from '../data/task.js'
import type { Evaluation } from '../train/evaluate.js'

/** What a task's examples are called. */
export const unitOf = (task: Pick<TaskCodec, 'source'>): string => (task.source.kind === 'cmudict' ? 'words' : 'pairs')

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`

/** Error rates in a line, in the task's own terms. */
export function formatRates({ per, wer, examples }: ErrorRates, task: Pick<TaskCodec, 'source'>): string {
  const names = task.source.kind === 'cmudict'
    ? ['phoneme error rate (PER)', 'word error rate (WER)']
    : ['symbol error rate', 'wrong answers']
  return `${names[0]} ${percent(per)}, ${names[1]} ${percent(wer)}, on ${formatCount(examples)} held-out ${unitOf(task)}`
}

/** Some predictions beside the truth, spread over the examples. */
export function formatSamples({ examples, predictions }: Pick<Evaluation, 'examples' | 'predictions'>, count: number): string {
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

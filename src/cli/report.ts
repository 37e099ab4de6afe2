import { formatCount, formatTable } from '../base/format.js'
import type { ErrorRates } from '../data/metrics.js'
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

/** Some predictions beside the truth, spread over the examples. Right ones have a plain line, wrong ones say what was expected. */
export function formatSamples({ examples, predictions }: Pick<Evaluation, 'examples' | 'predictions'>, count: number): string {
  const stride = Math.max(1, Math.floor(examples.length / count))
  const rows = examples.map((example, i) => [example.input, predictions[i], example.target, example.alternatives.includes(predictions[i])] as const)
    .filter((_, i) => i % stride === 0)
    .slice(0, count)
    .map(([input, predicted, target, alternative]) =>
      [`    ${input}`, predicted, predicted === target ? 'right' : alternative ? `right (also ${target})` : `wrong: ${target}`])
  return formatTable([['    input', 'predicted', 'truth'], ...rows])
}

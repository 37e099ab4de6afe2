import { formatCount, formatTable } from '../base/format.js'
import type { Example } from '../data/source.js'
import type { Task } from '../data/task.js'
import type { Evaluation } from '../train/evaluate.js'

/**
 * A count of a task's examples with the task's own noun: "1 pair", "6,226 words". `kind` precedes the noun: "held-out
 * ".
 */
export const countExamples = (count: number, { units }: Pick<Task, 'units'>, kind = ''): string =>
  `${formatCount(count)} ${kind}${count === 1 ? units.one : units.many}`

/** One line with the scores, and the number of examples that they were measured on. */
export function formatScores(
  { scores, examples, total, split }: Pick<Evaluation, 'scores' | 'examples' | 'total' | 'split'>,
  task: Pick<Task, 'units'>,
): string {
  const figures = scores.map(({ metric, value }) => `${metric.name} ${metric.format(value)}`)
  const part = examples.length < total ? `${formatCount(examples.length)} of the ` : ''
  return `${figures.join(', ')}, on ${part}${countExamples(total, task, split === 'train' ? 'training ' : 'held-out ')}`
}

/** A table of `count` evenly spaced examples: the input, the model's answer, and whether the answer is right. */
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

import { formatCount, formatTable } from '../../base/format.js'
import type { Example } from '../../data/example.js'
import type { Task } from '../../data/task.js'
import { isWordForWord, otherNumberOfWords } from '../../data/tokenizers/word-for-word.js'
import type { TextCodec } from '../../text/codec.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import type { Evaluation } from '../../train/evaluate.js'
import { escapeControls } from './texts.js'

/**
 * A count of a task's examples with the task's own noun: "1 pair", "6,226 words". `kind` precedes the noun: "held-out
 * ".
 */
export const countExamples = (count: number, { units }: Pick<Task, 'units'>, kind = ''): string =>
  `${formatCount(count)} ${kind}${count === 1 ? units.one : units.many}`

/**
 * One line with the figures, and the number of examples that they were measured on; then a line for each figure that
 * needs an explanation.
 */
export function formatScores(
  {
    scores,
    examples,
    total,
    split,
    predictions = null,
  }: Pick<Evaluation, 'scores' | 'examples' | 'total'> & Partial<Pick<Evaluation, 'predictions' | 'split'>>,
  task: Pick<Task, 'units'> & { readonly codec?: TextCodec },
): string {
  const each = scores.flatMap(({ metric, figures }) =>
    Object.entries(figures).map(([figure, value]) => ({
      text: `${figure} ${metric.format(value, figure)}`,
      explanation: metric.explain?.(value, figure),
    })),
  )
  const part = examples.length < total ? `${formatCount(examples.length)} of the ` : ''
  const kind = split === undefined ? '' : split === 'train' ? 'training ' : 'held-out '
  const counted = `${part}${countExamples(total, task, kind)}`
  const explanations = each.flatMap(({ explanation }) => (explanation === undefined ? [] : [`(${explanation})`]))
  const tags = predictions === null ? [] : otherTagsText(examples, predictions, task.codec)
  return [`${each.map(({ text }) => text).join(', ')}, on ${counted}`, ...explanations, ...tags].join('\n')
}

/** Of a tagger: how many answers have more tags than words, or fewer. */
function otherTagsText(examples: readonly Example[], answers: readonly string[], codec?: TextCodec): string[] {
  const isTagger =
    codec !== undefined &&
    (codec.targets instanceof MarkedWordsVocabulary || (examples.length > 0 && isWordForWord(examples, codec.targets)))
  if (!isTagger) return []
  const inputs = examples.map(({ input }) => input)
  const { length } = otherNumberOfWords(inputs, answers)
  return length === 0
    ? []
    : [`${formatCount(length)} of ${formatCount(answers.length)} answers have another number of tags than words`]
}

/**
 * A table of `count` evenly spaced examples: the input, the model's answer or the log-likelihood of the target, and
 * whether the answer is right.
 */
export function formatSamples(
  evaluation: Pick<Evaluation, 'examples' | 'predictions' | 'right' | 'logLikelihoods'>,
  count: number,
): string {
  const { examples } = evaluation
  const shown = Math.min(count, examples.length)
  const spaced = Array.from({ length: shown }, (_, k) => Math.floor((k * examples.length) / shown))
  return tableOf(evaluation, spaced)
}

/**
 * All wrong answers, each as a block of lines: the input, the answer, and the accepted answers. Says so if there are
 * none, or if no answers were generated.
 */
export function formatErrors({
  examples,
  predictions,
  right,
}: Pick<Evaluation, 'examples' | 'predictions' | 'right'>): string {
  if (predictions === null || right === null) return 'no answers were generated, so none is wrong'
  const wrong = examples.flatMap((example, i) => (right[i] ? [] : [{ ...example, predicted: predictions[i] }]))
  if (wrong.length === 0) return 'no answer is wrong'
  const blocks = wrong.map(({ input, predicted, target, alternatives }) =>
    [
      `input      ${escapeControls(input)}`,
      `predicted  ${escapeControls(predicted)}`,
      `truth      ${[target, ...alternatives].map(escapeControls).join(' | ')}`,
    ].join('\n'),
  )
  return blocks.join('\n\n')
}

/** A table of the examples at these indices. */
function tableOf(
  {
    examples,
    predictions,
    right,
    logLikelihoods,
  }: Pick<Evaluation, 'examples' | 'predictions' | 'right' | 'logLikelihoods'>,
  indices: readonly number[],
): string {
  if (predictions === null || right === null) {
    const rows = indices.map(i => [
      `    ${shorten(examples[i].input)}`,
      shorten(examples[i].target),
      logLikelihoods?.[i].toFixed(3) ?? '',
    ])
    return formatTable([['    input', 'target', 'log-likelihood'], ...rows])
  }
  const rows = indices.map(i => [
    `    ${shorten(examples[i].input)}`,
    shorten(predictions[i]),
    verdict(right[i], predictions[i], examples[i]),
  ])
  return formatTable([['    input', 'predicted', 'truth'], ...rows])
}

function verdict(right: boolean, predicted: string, { target, alternatives }: Example): string {
  if (!right) return `wrong: ${shorten(target)}`
  return predicted !== target && alternatives.includes(predicted) ? `right (also ${shorten(target)})` : 'right'
}

/** One line of at most 60 characters. */
function shorten(text: string): string {
  const line = escapeControls(text)
  return line.length > 60 ? `${line.slice(0, 57)}...` : line
}

import type { AcceptedAnswers, Metric } from './metric.js'

/**
 * Whether a prediction is right: by the first of the metrics that knows (`Metric.isRight`), otherwise if it equals the
 * target, or one of several accepted answers. Texts are compared without white space at their ends.
 */
export function isRight(metrics: readonly Metric[], target: unknown, prediction: unknown): boolean {
  const judge = metrics.find(metric => metric.input === 'predictions' && metric.isRight !== undefined)
  return judge?.isRight?.(target, prediction) ?? acceptedOf(target).some(answer => equal(answer, prediction))
}

function acceptedOf(target: unknown): readonly unknown[] {
  if (Array.isArray(target)) return target as readonly unknown[]
  if (typeof target !== 'object' || target === null) return [target]
  if ('alternatives' in target) {
    const { target: first, alternatives } = target as AcceptedAnswers
    return [first, ...alternatives]
  }
  return 'value' in target ? acceptedOf(target.value) : [target]
}

function equal(answer: unknown, prediction: unknown): boolean {
  if (typeof answer === 'string' && typeof prediction === 'string') return answer.trim() === prediction.trim()
  if (typeof prediction === 'object' && prediction !== null && 'value' in prediction)
    return equal(answer, prediction.value)
  return Object.is(answer, prediction) || JSON.stringify(answer) === JSON.stringify(prediction)
}

import type { RankedCandidate } from '../../metrics/groups/rank-classification.js'
import type { FieldValue } from '../preprocessor.js'
import { fieldOf } from './fields.js'
import type { Postprocessor } from './postprocessor.js'

/**
 * For the metric `rankClassification`: a target becomes a `RankedCandidate` of the example's fields `idx`,
 * `is_correct`, `weight` (default: 1) and the number of its target tokens. A prediction stays as it is.
 * `passthroughFeatureKeys` are the names of further fields that a metric of your own needs.
 */
export const rankClassification =
  ({ passthroughFeatureKeys = [] }: { readonly passthroughFeatureKeys?: readonly string[] } = {}): Postprocessor =>
  (text, { example, isTarget }) => {
    if (!isTarget) return text
    return {
      idx: fieldOf(example, 'idx') as readonly number[],
      isCorrect: Boolean(fieldOf(example, 'is_correct')),
      weight: Number(example.weight ?? 1),
      targetLength: (fieldOf(example, 'targets') as ArrayLike<FieldValue>).length,
      passthrough: passthroughFeatureKeys.map(key => fieldOf(example, key)),
    } satisfies RankedCandidate
  }

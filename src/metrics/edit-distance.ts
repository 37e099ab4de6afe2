import { check } from '../base/errors.js'
import { editDistance as distance } from '../base/edit-distance.js'
import { pythonLower, PYTHON_WORD } from '../text/python-text.js'
import type { Figures } from './metric.js'
import { mean, median, sum } from './statistics.js'

export interface EditDistanceOptions {
  /** Compares lower-cased texts. Default: true. */
  readonly lower?: boolean
}

/**
 * Levenshtein distances in words, over all examples: `{ min_edit, max_edit, mean_edit, median_edit, sum_edit }`. A text
 * is cut at each character that is no letter, number or "_"; two such characters in a row have an empty word between
 * them, which counts. Lists of different lengths are cut to the shorter one. Throws a ShapeError without examples.
 */
export function editDistance(
  targets: readonly string[],
  predictions: readonly string[],
  { lower = true }: EditDistanceOptions = {},
): Figures {
  const words = (text: string): string[] => (lower ? pythonLower(text) : text).split(separator)
  const count = Math.min(targets.length, predictions.length)
  check(count > 0, 'editDistance got no examples')
  const edits = Array.from({ length: count }, (_, i) => distance(words(predictions[i]), words(targets[i])))
  return {
    min_edit: edits.reduce((a, b) => Math.min(a, b)),
    max_edit: edits.reduce((a, b) => Math.max(a, b)),
    mean_edit: mean(edits),
    median_edit: median(edits),
    sum_edit: sum(edits),
  }
}

const separator = new RegExp(`(?!${PYTHON_WORD}).`, 'su')

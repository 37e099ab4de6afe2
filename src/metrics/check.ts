import { check } from '../base/errors.js'

/** Throws a ShapeError unless there is one prediction (or score) for each target. */
export function checkCounts(targets: readonly unknown[], predictions: readonly unknown[]): void {
  check(
    predictions.length === targets.length,
    () => `a metric got ${predictions.length} predictions for ${targets.length} targets: it needs one for each`,
  )
}

/** The arithmetic mean; NaN of no values. */
export const mean = (values: readonly number[]): number => sum(values) / values.length

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** The middle value, or the mean of the two middle values; NaN of no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** How often each value occurs. */
export function countEach<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/** The size of the intersection of two multisets. */
export function overlap<T>(a: ReadonlyMap<T, number>, b: ReadonlyMap<T, number>): number {
  let shared = 0
  for (const [value, count] of a) shared += Math.min(count, b.get(value) ?? 0)
  return shared
}

/** The harmonic mean of precision and recall; 0 if both are 0. */
export const fMeasure = (precision: number, recall: number): number =>
  precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0

/** Equality of values from metrics' inputs: numbers, texts and lists of them. NaN equals nothing. */
export const deepEqual = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b)
    ? a.length === b.length && a.every((value, i) => deepEqual(value, b[i]))
    : a === b

import { SwitchyardError } from './errors.js'

/** The measures by which vectors are compared. */
export const similarities = ['cosine', 'dot', 'euclidean', 'manhattan'] as const
export type Similarity = (typeof similarities)[number]

/** The shortest length that a vector is divided by, as in PyTorch's `normalize`. */
export const MIN_NORM = 1e-12

/**
 * How alike two vectors are: the cosine of their angle, their dot product, or the negative of their Euclidean or
 * Manhattan distance. Throws a SwitchyardError if their sizes differ.
 */
export function similarityOf(measure: Similarity, a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length)
    throw new SwitchyardError(`vectors of ${a.length} and ${b.length} numbers cannot be compared`)
  switch (measure) {
    case 'cosine':
      return sum(a, i => a[i] * b[i]) / (norm(a) * norm(b))
    case 'dot':
      return sum(a, i => a[i] * b[i])
    case 'euclidean':
      return -Math.sqrt(sum(a, i => (a[i] - b[i]) ** 2))
    case 'manhattan':
      return -sum(a, i => Math.abs(a[i] - b[i]))
  }
}

/** The length of a vector, at least `MIN_NORM`. */
export const norm = (a: Float32Array): number => Math.max(Math.sqrt(sum(a, i => a[i] ** 2)), MIN_NORM)

const sum = (a: Float32Array, term: (i: number) => number): number => {
  let total = 0
  for (let i = 0; i < a.length; i++) total += term(i)
  return total
}

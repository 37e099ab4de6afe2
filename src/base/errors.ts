/**
 * Every error that a user can cause. The message says what was wrong (file, tensor, shape, key) and, where there is
 * one, what to do. Anything else that is thrown is a defect of ours.
 */
export class SwitchyardError extends Error {
  override name = 'SwitchyardError'
}

/** Wrong shapes, dtypes or arguments given to an array function. */
export class ShapeError extends SwitchyardError {
  override name = 'ShapeError'
}

/** A configuration key, value or command-line argument that is not allowed. The command line exits with code 2. */
export class ConfigError extends SwitchyardError {
  override name = 'ConfigError'
}

/** A file that is missing, broken or not what it claims to be. */
export class FileError extends SwitchyardError {
  override name = 'FileError'
}

/** Throws a ShapeError unless `condition` holds. */
export function check(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new ShapeError(typeof message === 'string' ? message : message())
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}

/** The candidate nearest to `word` by edit distance, or undefined if none is near enough to be a slip of the keys. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance between two sequences: the fewest insertions, deletions and substitutions. */
export function editDistance<T>(a: ArrayLike<T>, b: ArrayLike<T>): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(previous[j] + 1, current[j - 1] + 1, substituted))
    }
    previous = current
  }
  return previous[b.length]
}

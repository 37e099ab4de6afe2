import { editDistance } from './edit-distance.js'
import { ConfigError } from './errors.js'

/**
 * The candidate with the smallest edit distance to `word`; undefined if none is close enough for `word` to be a typing
 * error: at most a third of it, or two characters, but never all.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.min(word.length, Math.max(2, Math.floor(word.length / 3)) + 1)
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/**
 * The end of a message about a name that is not known: `did you mean X?` if a known name is near, otherwise
 * `otherwise`, by default the list of all known names.
 */
export function didYouMean(
  name: string,
  known: readonly string[],
  otherwise = `there are ${known.join(', ')}`,
): string {
  const guess = nearest(name, known)
  return guess === undefined ? otherwise : `did you mean ${guess}?`
}

/**
 * Throws a ConfigError if an object has a key that is not known. `owner` begins the message: `the task pairs has no
 * part`.
 */
export function checkKeys(value: object, known: readonly string[], owner: string): void {
  for (const key of Object.keys(value))
    if (!known.includes(key)) throw new ConfigError(`${owner} "${key}"; ${didYouMean(key, known)}`)
}

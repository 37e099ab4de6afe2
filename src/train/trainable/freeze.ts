import { ConfigError } from '../../base/errors.js'
import { matchesPath, requireMatch } from '../patterns.js'

/** Whether a parameter is frozen: by the last pattern that matches its path, `!` in front of which exempts it. */
export function isFrozen(freeze: readonly string[], path: string): boolean {
  const deciding = freeze.findLast(pattern => matchesPath(positive(pattern), path))
  return deciding !== undefined && !deciding.startsWith('!')
}

const positive = (pattern: string): string => pattern.replace(/^!/, '')

/**
 * The paths of the parameters that are trained. Throws a ConfigError for a pattern that matches nothing, and if nothing
 * is left to train.
 */
export function trainedPaths(freeze: readonly string[], paths: readonly string[]): Set<string> {
  for (const pattern of freeze) requireMatch('train.freeze', positive(pattern), paths)
  const trained = paths.filter(path => !isFrozen(freeze, path))
  if (trained.length === 0)
    throw new ConfigError(
      `train.freeze=${freeze.join(',')} freezes every parameter, so there is nothing to train: exempt some, as in train.freeze=*,!decoder`,
    )
  return new Set(trained)
}

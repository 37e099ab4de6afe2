import { ConfigError } from '../../base/errors.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { findPattern, matchesPath, requireMatch } from '../patterns.js'
import type { RestoreRule } from './origin.js'
import { ruleText } from './origin.js'

type Declared = Pick<ParameterSpec, 'path' | 'shape'>

/** Which parameters of a new run are restored, from which parameters of the weights, and which are initialised. */
export interface RestorePlan {
  /** For each restored parameter's path, the path to read. */
  readonly sources: ReadonlyMap<string, string>
  /** The paths of the parameters that are initialised. */
  readonly initialised: readonly string[]
  /** The paths of the weights' parameters that are not read. */
  readonly unused: readonly string[]
}

/**
 * Plans the restoring of a run's parameters. Without a rule, each is restored from the parameter of the same path.
 * Throws a ConfigError if a rule matches no parameter, and if a parameter is missing in the weights or has another
 * shape there; it proposes the rules that would help.
 */
export function planRestore(
  targets: readonly Declared[],
  weights: { readonly path: string; readonly specs: readonly Declared[] },
  rules: readonly RestoreRule[],
): RestorePlan {
  const paths = targets.map(target => target.path)
  for (const rule of rules) requireMatch('from.rules', rule.path, paths)
  const stored = new Map(weights.specs.map(spec => [spec.path, spec]))
  const sources = new Map<string, string>()
  const initialised: string[] = []
  const problems: { path: string; message: string }[] = []
  for (const { path, shape } of targets) {
    const source = sourceOf(path, rules)
    if (source === null) {
      initialised.push(path)
      continue
    }
    sources.set(path, source)
    const found = stored.get(source)
    const from = source === path ? '' : ` (restored from ${source})`
    if (found === undefined) problems.push({ path, message: `${path} [${shape}]${from} is not there` })
    else if (found.shape.join() !== shape.join())
      problems.push({ path, message: `${path} [${shape}]${from} is [${found.shape}] there` })
  }
  if (problems.length > 0) throw mismatch(weights.path, problems, paths)
  const read = new Set(sources.values())
  return { sources, initialised, unused: [...stored.keys()].filter(path => !read.has(path)) }
}

/** The path to restore a parameter from, by the last rule that matches; null if it is not restored. */
function sourceOf(path: string, rules: readonly RestoreRule[]): string | null {
  const rule = rules.findLast(candidate => matchesPath(candidate.path, path))
  if (rule === undefined) return path
  if (rule.from === null) return null
  const { at, length, wildcards } = findPattern(rule.path, path)!
  let next = 0
  const replacement = rule.from.replaceAll('*', () => wildcards[next++] ?? '*')
  return path.split('/').toSpliced(at, length, replacement).join('/')
}

const MOST_LISTED = 5

function mismatch(
  weights: string,
  problems: readonly { path: string; message: string }[],
  paths: readonly string[],
): ConfigError {
  const listed = problems.slice(0, MOST_LISTED).map(problem => `\n  ${problem.message}`)
  const more = problems.length > MOST_LISTED ? `\n  and ${problems.length - MOST_LISTED} more` : ''
  const rules = coveringPatterns(
    problems.map(problem => problem.path),
    paths,
  ).map(path => ruleText({ path, from: null }))
  return new ConfigError(
    `${weights}: these weights do not have all parameters of the model that is to be trained:${listed.join('')}${more}\n` +
      `To initialise ${problems.length === 1 ? 'it' : 'them'} instead: set from.rules=${rules.join(',')}; ` +
      'a rule PATTERN=NAMES restores from other parameters',
  )
}

/** A few patterns that match the given paths and no other one: common beginnings, with `*` for numbers. */
export function coveringPatterns(given: readonly string[], paths: readonly string[]): string[] {
  const wanted = new Set(given)
  const isExact = (pattern: string): boolean => paths.every(path => wanted.has(path) || !matchesPath(pattern, path))
  const patterns: string[] = []
  for (const path of given) {
    if (patterns.some(pattern => matchesPath(pattern, path))) continue
    const names = path.split('/')
    const beginnings = names.map((_, i) => names.slice(0, i + 1).join('/'))
    const shortest = beginnings.find(isExact) ?? path
    const general = shortest.replaceAll(/_\d+(?=\/|$)/g, '_*')
    patterns.push(isExact(general) ? general : shortest)
  }
  return patterns
}

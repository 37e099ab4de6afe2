import { ConfigError } from '../base/errors.js'
import { escapeRegExp } from '../base/reg-exp.js'
import { didYouMean } from '../base/suggest.js'

/**
 * Whether a pattern matches a parameter's path. A pattern is one name or several, joined by `/`, that follow each other
 * anywhere in the path; `*` stands for any text within a name. `router` matches
 * `encoder/layers_1/mlp/router/router_weights/w/kernel`, and so do `encoder/layers_*` and `*`.
 */
export const matchesPath = (pattern: string, path: string): boolean => findPattern(pattern, path) !== undefined

/** Where a pattern first matches a path: the names that it matches, and the texts that its `*` stand for. */
export interface PatternMatch {
  /** The position of the first matched name in the path, and the number of matched names. */
  readonly at: number
  readonly length: number
  readonly wildcards: readonly string[]
}

/** The first match of a pattern in a path; undefined if there is none. */
export function findPattern(pattern: string, path: string): PatternMatch | undefined {
  const expressions = pattern.split('/').map(nameExpression)
  const names = path.split('/')
  for (let at = 0; at + expressions.length <= names.length; at++) {
    const matches = expressions.map((expression, i) => expression.exec(names[at + i]))
    if (matches.every(match => match !== null))
      return { at, length: expressions.length, wildcards: matches.flatMap(match => match.slice(1)) }
  }
  return undefined
}

const nameExpression = (name: string): RegExp => new RegExp(`^${name.split('*').map(escapeRegExp).join('(.*)')}$`, 'u')

/** Throws a ConfigError, which names the setting, for a pattern that matches none of the parameters. */
export function requireMatch(setting: string, pattern: string, paths: readonly string[]): void {
  if (paths.some(path => matchesPath(pattern, path))) return
  const names = [...new Set(paths.flatMap(path => path.split('/')))]
  const example = `paths look like ${paths[Math.floor(paths.length / 2)]}`
  throw new ConfigError(
    `${setting}: the pattern "${pattern}" matches no parameter of this model; ${didYouMean(pattern.split('/').at(-1)!, names, example)}`,
  )
}

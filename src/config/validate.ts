import type { z } from 'zod'
import { ConfigError } from '../base/errors.js'
import { nearest } from '../base/suggest.js'
import { describeIssue } from './issues.js'
import { runSchema } from './schema.js'
import type { RunConfig } from '../train/config.js'

/** Checks a value against a schema. Throws a ConfigError with one line for each problem, which begins with its path. */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new ConfigError(
    `${what} is not right:\n${result.error.issues.map(issue => `  ${describeIssue(issue, value)}`).join('\n')}`,
  )
}

/** Checks a run's configuration, which may come from a file. */
export const parseRunConfig = (value: unknown, what = 'the configuration'): RunConfig =>
  parseConfig(runSchema, value, what)

/** All settings of a configuration, as paths (`train.steps`, `model.dModel` ...) and values. A list is one value. */
export function settingsOf(config: object, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(config).flatMap(([key, value]: [string, unknown]) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? settingsOf(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, value] as [string, unknown]],
  )
}

/** A ConfigError for a setting that does not exist; it proposes the most similar existing one. */
export function unknownSetting(path: string, known: readonly string[]): ConfigError {
  const last = (p: string): string => p.slice(p.lastIndexOf('.') + 1)
  const sameEnding = known.filter(candidate => last(candidate) === last(path))
  const group = path.slice(0, path.lastIndexOf('.') + 1)
  const siblings = known.filter(candidate => candidate.startsWith(group))
  const ofGroup = group === '' ? undefined : nearest(last(path), siblings.map(last))
  const guess =
    siblings.find(candidate => last(candidate) === ofGroup) ??
    sameEnding[0] ??
    nearest(path, siblings) ??
    nearest(path, known) ??
    known.find(candidate => last(candidate) === nearest(last(path), known.map(last)))
  const advice =
    guess !== undefined
      ? `did you mean ${guess}?`
      : siblings.length > 0 && group !== ''
        ? `${group.slice(0, -1)} has ${siblings.map(s => s.slice(group.length)).join(', ')}`
        : 'switchyard train g2p --print-config shows all of them'
  return new ConfigError(`there is no setting ${path}; ${advice}`)
}

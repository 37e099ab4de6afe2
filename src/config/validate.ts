import type { z } from 'zod'
import { ConfigError } from '../base/errors.js'
import { nearest } from '../base/suggest.js'
import { describeIssue, valueAt } from './issues.js'
import { knownSettings } from './known-settings.js'
import { settingNamed } from './other-names.js'
import { runSchema } from './schema.js'
import type { RunConfig } from '../train/config.js'

/**
 * Checks a value against a schema. Throws a ConfigError with one line for each problem, which begins with its path; for
 * a setting that does not exist, the line proposes the most similar one. `what` says where the value is from.
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.flatMap(issue =>
    issue.code === 'unrecognized_keys' ? unknownKeys(issue, schema, value) : [describeIssue(issue, value)],
  )
  throw new ConfigError(`${what} is not right:\n${lines.map(line => `  ${line}`).join('\n')}`)
}

function unknownKeys({ keys, path }: z.core.$ZodIssueUnrecognizedKeys, schema: z.ZodType, value: unknown): string[] {
  const { settings, groups } = knownSettings(schema, value)
  const owner = valueAt(value, path) as Readonly<Record<string, unknown>>
  return keys.map(key => {
    const name = [...path, key].map(String).join('.')
    const known = isGroup(owner[key]) ? [...groups, ...settings] : settings
    return `${name}: there is no such setting; ${similarSetting(name, known)}`
  })
}

/** Checks a run's configuration, which may come from a file. */
export const parseRunConfig = (value: unknown, what = 'the configuration'): RunConfig =>
  parseConfig(runSchema, value, what)

const isGroup = (value: unknown): value is object =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** All settings of a configuration, as paths (`train.steps`, `model.dModel` ...) and values. A list is one value. */
export function settingsOf(config: object, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(config).flatMap(([key, value]: [string, unknown]) =>
    isGroup(value) ? settingsOf(value, `${prefix}${key}.`) : [[`${prefix}${key}`, value] as [string, unknown]],
  )
}

/** A ConfigError for a setting that does not exist; it proposes the most similar existing one. */
export const unknownSetting = (path: string, known: readonly string[]): ConfigError =>
  new ConfigError(`there is no setting ${path}; ${similarSetting(path, known)}`)

/** Which setting a name that does not exist was meant to be, or which ones there are. */
function similarSetting(path: string, known: readonly string[]): string {
  const last = (p: string): string => p.slice(p.lastIndexOf('.') + 1)
  const sameEnding = known.filter(candidate => last(candidate) === last(path))
  const group = path.slice(0, path.lastIndexOf('.') + 1)
  const siblings = known.filter(candidate => candidate.startsWith(group))
  const ofGroup = group === '' ? undefined : nearest(last(path), siblings.map(last))
  const translated = settingNamed(last(path))?.split('=')[0]
  const guess =
    known.find(candidate => candidate === translated) ??
    siblings.find(candidate => last(candidate) === ofGroup) ??
    sameEnding[0] ??
    // In a group that exists, whole paths share their beginning, so any two of them would be near each other.
    (group !== '' && siblings.length > 0 ? undefined : nearest(path, known)) ??
    known.find(candidate => last(candidate) === nearest(last(path), known.map(last)))
  if (guess !== undefined) return `did you mean ${guess}?`
  return siblings.length > 0 && group !== ''
    ? `${group.slice(0, -1)} has ${siblings.map(s => s.slice(group.length)).join(', ')}`
    : 'switchyard train g2p --print-config shows all of them'
}

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { optimizerSchema, scheduleSchema } from './schema.js'
import type { TaskConfig } from '../data/task.js'
import { taskSchema } from '../data/tasks/registry.js'
import type { RunConfig } from '../train/config.js'
import { sparseRulePaths, withSparseLists } from './sparse-layers.js'
import { parseConfig, parseRunConfig, settingsOf, unknownSetting } from './validate.js'

/** Groups of settings whose `kind` decides which other settings they have. */
const kinds: Readonly<Record<string, z.ZodType>> = {
  'train.optimizer': optimizerSchema,
  'train.schedule': scheduleSchema,
}

type Settings = { [key: string]: unknown }

/**
 * A copy of a configuration with some settings changed, each given as `path=value`: `train.steps=300`,
 * `train.optimizer.kind=adafactor`, `from.rules=a=skip,b=c` (a list), `model.encoderSparseEvery=2` (a list by its rule:
 * see `withSparseLists`). Changes of a kind are made first. The new kind starts from its defaults, and keeps the
 * settings that the old kind has as well. Throws a ConfigError for an unknown setting (it proposes the most similar
 * one) and for a value that is not allowed.
 */
export function overrideConfig(config: RunConfig, overrides: readonly string[]): RunConfig {
  const changed = structuredClone(config) as unknown as Settings
  const parsed = overrides.map(parseOverride)
  const isKind = ([path]: [string, string]): boolean => path.endsWith('.kind') && kinds[path.slice(0, -5)] !== undefined
  for (const [path, text] of parsed.filter(isKind)) changeKind(changed, path.slice(0, -5), text)
  const isPeak = ([path]: [string, string]): boolean => path === 'train.schedule.peak'
  for (const [path, text] of parsed.filter(o => !isKind(o) && !isPeak(o))) setValue(changed, path, text)
  for (const [path, text] of parsed.filter(isPeak)) setPeak(changed, path, text)
  const ofModel = parsed.flatMap(([path]) => (path.startsWith('model.') ? [path.slice(6)] : []))
  changed.model = withSparseLists({ ...config.model }, changed.model as Settings, new Set(ofModel))
  return parseRunConfig(changed)
}

/**
 * The configuration of a new run, with overrides as `overrideConfig` takes them. A warm-up that is not given shortens
 * to a tenth of the steps that are given: otherwise a short run would end before its learning rate has risen.
 */
export function overrideNewRun(config: RunConfig, overrides: readonly string[]): RunConfig {
  const changed = overrideConfig(config, overrides)
  const given = new Set(overrides.map(text => parseOverride(text)[0]))
  return given.has('train.steps') && !given.has(WARMUP) ? withShortWarmup(changed) : changed
}

/** A configuration whose warm-up is at most a tenth of its steps, and leaves one step at least. */
export function withShortWarmup(config: RunConfig): RunConfig {
  const { steps, schedule } = config.train
  if (schedule.kind === 'custom') return config
  const warmupSteps = Math.min(schedule.warmupSteps, Math.ceil(steps / 10), steps - 1)
  return { ...config, train: { ...config.train, schedule: { ...schedule, warmupSteps } } }
}

/**
 * Some settings of an optimizer or a schedule, completed: by those of `old` if the kind is the same, or not given;
 * otherwise by the defaults of the new kind, and by the settings of `old` that it has as well.
 */
export function completeKind(
  path: 'train.optimizer' | 'train.schedule',
  old: { readonly kind: string },
  given: object,
): object {
  const { kind = old.kind } = given as { kind?: string }
  if (kind === old.kind) return { ...old, ...given }
  const fresh = kinds[path].safeParse({ kind })
  // A kind that does not exist is reported when the whole configuration is checked.
  if (!fresh.success) return given
  const defaults = fresh.data as Settings
  const kept = Object.entries(old).filter(([key]) => key !== 'kind' && key in defaults)
  return { ...defaults, ...Object.fromEntries(kept), ...given }
}

/** The setting that follows `train.steps` in a new run. */
export const WARMUP = 'train.schedule.warmupSteps'

/**
 * The settings of a task with those overrides that begin with `task.` made, and the other overrides. A task's own
 * settings decide which data is read, so they must be known before the rest of the configuration.
 */
export function overrideTask(task: TaskConfig, overrides: readonly string[]): { task: TaskConfig; others: string[] } {
  const changed: Settings = { task: { ...task } }
  const others: string[] = []
  for (const override of overrides) {
    const [path, text] = parseOverride(override)
    if (path.startsWith('task.') && path !== 'task.kind') setValue(changed, path, text)
    else others.push(override)
  }
  return { task: parseConfig(taskSchema, changed.task, 'the settings of the task'), others }
}

/** Splits `path=value` at the first `=`. */
export function parseOverride(override: string): [path: string, text: string] {
  const at = override.indexOf('=')
  if (at < 1) throw new ConfigError(`--set ${override}: expected a setting and its value, such as train.steps=300`)
  return [override.slice(0, at).trim(), override.slice(at + 1).trim()]
}

function changeKind(config: Settings, path: string, kind: string): void {
  const keys = path.split('.')
  const parent = groupAt(config, keys.slice(0, -1))!
  const old = parent[keys.at(-1)!] as { kind: string }
  parent[keys.at(-1)!] = completeKind(path as 'train.schedule', old, { kind })
}

/** Sets the highest learning rate of a schedule. T5's inverse square root has it as scale / sqrt(decayFrom). */
function setPeak(config: Settings, path: string, text: string): void {
  const schedule = groupAt(config, ['train', 'schedule'])!
  const peak = parseValue(text)
  if (schedule.kind === 'inverseSquareRoot' && typeof peak === 'number')
    schedule.scale = peak * Math.sqrt(Number(schedule.decayFrom))
  else if (schedule.kind === 'custom')
    throw new ConfigError(
      `${path}: the schedule of this recipe is the function "${String(schedule.name)}", which has no settings: --set train.schedule.kind=linear takes a built-in one`,
    )
  else setValue(config, path, text)
}

function setValue(config: Settings, path: string, text: string): void {
  const keys = path.split('.')
  const key = keys.at(-1)!
  const group = groupAt(config, keys.slice(0, -1))
  const isKnown = group !== undefined && (Object.hasOwn(group, key) || sparseRulePaths.has(path))
  if (!isKnown) throw unknownSetting(path, [...settingsOf(config).map(([known]) => known), ...sparseRulePaths.keys()])
  const current = group[key]
  if (isGroup(current) && !textGroups.has(path))
    throw new ConfigError(
      `${path} is a group of settings: set one of ${Object.keys(current)
        .map(k => `${path}.${k}`)
        .join(', ')}`,
    )
  if (Array.isArray(current)) group[key] = splitList(text)
  else group[key] = typeof current === 'string' ? text : parseValue(text)
}

/** Groups of settings that are given as one text. */
const textGroups: ReadonlySet<string> = new Set(['train.mesh'])

/** The items of a list in text form, `a,b,c` or `1,3`. An empty text is an empty list. */
const splitList = (text: string): unknown[] =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
    .map(item => (/^-?\d+$/.test(item) ? Number(item) : item))

const isGroup = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function groupAt(config: Settings, keys: readonly string[]): Settings | undefined {
  let group: unknown = config
  for (const key of keys) {
    if (!isGroup(group) || !Object.hasOwn(group, key)) return undefined
    group = group[key]
  }
  return isGroup(group) ? group : undefined
}

/**
 * Reads a value as JSON (numbers, true, false, null). Anything else stays text, which the schema accepts or refuses.
 */
export function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

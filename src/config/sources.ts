/** Where each value of a run's configuration came from. */
import type { RunConfig } from '../train/config.js'
import { trainDefaults } from '../train/config.js'
import { distillDefaults } from '../train/distillation/config.js'
import type { RunOrigin } from '../train/run-origin.js'
import { baseModel, baseRouter } from '../model/presets.js'
import { chosenByFinetune } from './finetune.js'
import { parseOverride, WARMUP } from './overrides.js'
import { sparseListPaths, sparseRulePaths } from './sparse-layers.js'
import { settingsOf } from './validate.js'

/** A setting, its value, and where the value came from. */
export interface ExplainedSetting {
  readonly path: string
  readonly value: unknown
  readonly source: string
}

/** The settings that follow from the data, unless a recipe fixes them. */
const fitted: ReadonlySet<string> = new Set([
  'model.vocabSize',
  'model.generation.suppressedIds',
  'router.maxGroupSize',
  'train.rows',
  'train.inputLength',
  'train.targetLength',
  'train.steps',
  'train.checkpointEvery',
  WARMUP,
])

/** The settings that make the student of a distillation a dense model. */
const settingsOfDense: ReadonlySet<string> = new Set([
  'model.encoderSparseLayers',
  'model.decoderSparseLayers',
  'model.numExperts',
])

/**
 * Each setting of a configuration with the source of its value: `--set`, `data`, `weights`, the recipe, or `default`:
 * the value that all presets or all runs have unless something says otherwise. `recipe` is the configuration that
 * `origin.base` names; without one, values are told apart by what usually makes them.
 */
export function explainSettings(config: RunConfig, origin: RunOrigin, recipe?: RunConfig): ExplainedSetting[] {
  const given = origin.set.map(text => parseOverride(text)[0])
  const set = new Set(given.map(path => sparseRulePaths.get(path) ?? path))
  const ofRecipe = new Map(recipe && settingsOf(recipe))
  const defaults = new Map([
    ...settingsOf({ model: baseModel, router: baseRouter, train: trainDefaults, from: null, distill: null }),
    ...settingsOf({ distill: distillDefaults }),
    ...settingsOf({ from: { optimizer: 'fresh', rules: [] } }),
  ])
  const isSet = (path: string): boolean =>
    isWithin(set, path) || (set.has(`${path.slice(0, path.lastIndexOf('.'))}.kind`) && !ofRecipe.has(path))
  const same = (values: ReadonlyMap<string, unknown>, path: string, value: unknown): boolean =>
    values.has(path) && JSON.stringify(values.get(path)) === JSON.stringify(value)
  const ofDense = config.distill === null ? new Set<string>() : settingsOfDense
  const chosen = chosenByFinetune(config)
  const sourceOf = (path: string, value: unknown): string => {
    const [group] = path.split('.')
    if (isSet(path)) return '--set'
    if (path === WARMUP && set.has('train.steps') && ofRecipe.has(path) && !same(ofRecipe, path, value))
      return '--set train.steps'
    const layers = sparseListPaths.get(path)
    if (layers !== undefined && set.has(layers) && ofRecipe.has(path) && !same(ofRecipe, path, value))
      return `--set ${layers}`
    if (ofDense.has(path)) return 'distill'
    if (config.distill !== null && group === 'router') return 'default'
    if (origin.data !== undefined && (group === 'task' || fitted.has(path))) return `data ${origin.data}`
    if (
      origin.weights !== undefined &&
      !chosen.has(path) &&
      (path.startsWith('distill.teacher.') || group === 'from' || group === 'model' || group === 'router')
    )
      return `weights ${origin.weights}`
    if (same(defaults, path, value)) return 'default'
    return origin.base
  }
  return settingsOf(config).map(([path, value]) => ({ path, value, source: sourceOf(path, value) }))
}

/** Whether a path, or a group that it is in (`train.mesh` of `train.mesh.data`), is among some paths. */
const isWithin = (paths: ReadonlySet<string>, path: string): boolean =>
  paths.has(path) || (path.includes('.') && isWithin(paths, path.slice(0, path.lastIndexOf('.'))))

/** The settings in which two configurations differ. A setting that one of them does not have is undefined there. */
export function differingSettings(
  a: RunConfig,
  b: RunConfig,
): { readonly path: string; readonly values: readonly [unknown, unknown] }[] {
  const [ofA, ofB] = [new Map(settingsOf(a)), new Map(settingsOf(b))]
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map(path => ({ path, values: [ofA.get(path), ofB.get(path)] as const }))
    .filter(({ values: [x, y] }) => JSON.stringify(x) !== JSON.stringify(y))
}

import { ConfigError } from '../../base/errors.js'
import { formatTable } from '../../base/format.js'
import { exists } from '../../checkpoint/atomic.js'
import { overrideNewRun } from '../../config/overrides.js'
import { publishedRecipe, publishedSource } from '../../config/recipes/published.js'
import { recipes } from '../../config/recipes.js'
import { differingSettings, explainSettings } from '../../config/sources.js'
import { parseRunConfig, settingsOf } from '../../config/validate.js'
import { openCheckpoint } from '../../train/checkpointing.js'
import type { RunConfig } from '../../train/config.js'
import { readOrigin } from '../../train/run-origin.js'
import type { RunOrigin } from '../../train/run-origin.js'
import { readRunStart } from '../../train/run-start.js'
import { findRun, isPath } from '../shared/find-run.js'
import { findUserValues } from '../shared/user-config.js'

/** A table of every setting of a run or a recipe: its value, and where the value came from. */
export async function explainConfig(name: string, set: readonly string[]): Promise<string> {
  const published = publishedRecipe(name)
  if (published !== undefined) {
    const config = overrideNewRun(published, set)
    const changed = new Set(differingSettings(published, config).map(({ path }) => path))
    return table(
      settingsOf(config).map(([path, value]) => [path, value, changed.has(path) ? '--set' : publishedSource(path)]),
    )
  }
  const isRun = await isRunPath(name)
  if (isRun && set.length > 0)
    throw new ConfigError(`--set changes a recipe, and ${name} is a run: its settings are those it was trained with`)
  const config = isRun ? await configOfRun(name) : overrideNewRun(await recipeNamed(name), set)
  const origin = isRun ? await readOrigin(name) : { base: `recipe ${name}`, set }
  const explained = explainSettings(config, origin ?? unknownOrigin, recipeOfRun(origin))
  return table(explained.map(({ path, value, source }) => [path, value, source]))
}

/** A table of the settings in which two runs or recipes differ. */
export async function diffConfigs(a: string, b: string): Promise<string> {
  const [ofA, ofB] = [await configNamed(a), await configNamed(b)]
  const differing = differingSettings(ofA, ofB)
  if (differing.length === 0) return `${a} and ${b} have the same settings`
  return formatTable([
    ['setting', a, b],
    ...differing.map(({ path, values: [x, y] }) => [path, formatValue(x), formatValue(y)]),
  ])
}

/** For runs of versions that did not record it. */
const unknownOrigin: RunOrigin = { base: 'not recorded', set: [] }

/** The configuration of a built-in recipe, one of the user's, or a task. */
const recipeNamed = async (name: string): Promise<RunConfig> =>
  (await findRun(await findUserValues(), name, 'train')).config

const recipeOfRun = (origin: RunOrigin | undefined): RunConfig | undefined => {
  const name = origin?.base.replace(/^recipe /, '')
  return name !== undefined && Object.hasOwn(recipes, name) ? recipes[name] : undefined
}

const configNamed = async (name: string): Promise<RunConfig> =>
  publishedRecipe(name) ?? ((await isRunPath(name)) ? configOfRun(name) : recipeNamed(name))

/** Whether a name is the path of a run: a folder, or a path of one that does not exist and is no recipe either. */
const isRunPath = async (name: string): Promise<boolean> =>
  (await exists(name)) || (isPath(name) && !(await findUserValues()).runNames.includes(name))

/** The configuration of a run's latest checkpoint, or of a run that has none yet. */
async function configOfRun(path: string): Promise<RunConfig> {
  const start = await readRunStart(path)
  const what = `the configuration in ${path}`
  if (start !== undefined) return parseRunConfig(start.config, what)
  const checkpoint = await openCheckpoint(path)
  await checkpoint.close()
  return parseRunConfig(checkpoint.config, what)
}

const table = (rows: readonly (readonly [path: string, value: unknown, source: string])[]): string =>
  formatTable([
    ['setting', 'value', 'from'],
    ...rows.map(([path, value, source]) => [path, formatValue(value), source]),
  ])

const formatValue = (value: unknown): string =>
  value === undefined ? '-' : typeof value === 'string' ? value : JSON.stringify(value)

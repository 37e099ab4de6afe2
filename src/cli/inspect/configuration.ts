import { ConfigError } from '../../base/errors.js'
import { formatCount, formatTable } from '../../base/format.js'
import { overrideNewRun } from '../../config/overrides.js'
import { publishedRecipe, publishedSource } from '../../config/recipes/published.js'
import { recipes } from '../../config/recipes.js'
import { differingSettings, explainSettings } from '../../config/sources.js'
import { settingsOf } from '../../config/validate.js'
import type { RunConfig } from '../../train/config.js'
import { readOrigin } from '../../train/run-origin.js'
import type { RunOrigin } from '../../train/run-origin.js'
import { isConfigFile } from '../shared/config-file.js'
import { configOfRun, isRunPath, recipeNamed } from '../shared/find-config.js'

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
  const explained = explainSettings(
    config,
    origin ?? (isConfigFile(name) ? { base: name, set: [] } : unknownOrigin),
    recipeOfRun(origin),
  )
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

const recipeOfRun = (origin: RunOrigin | undefined): RunConfig | undefined => {
  const name = origin?.base.replace(/^recipe /, '')
  return name !== undefined && Object.hasOwn(recipes, name) ? recipes[name] : undefined
}

const configNamed = async (name: string): Promise<RunConfig> =>
  publishedRecipe(name) ?? ((await isRunPath(name)) ? configOfRun(name) : recipeNamed(name))

const table = (rows: readonly (readonly [path: string, value: unknown, source: string])[]): string =>
  formatTable([
    ['setting', 'value', 'from'],
    ...rows.map(([path, value, source]) => [path, formatValue(value), source]),
  ])

/** Longer lists are cut, such as the ids that a model never answers with: a table as wide as them cannot be read. */
const WIDEST_LIST = 60

function formatValue(value: unknown): string {
  if (value === undefined) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (!Array.isArray(value) || text.length <= WIDEST_LIST) return text
  const shown = text.slice(0, WIDEST_LIST / 2)
  return `${shown.slice(0, shown.lastIndexOf(','))}, ... ${formatCount(value.length)} values]`
}

import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, SwitchyardError } from '../../base/errors.js'
import type { UserConfig } from '../../config/define-config.js'
import { userConfigSchema } from '../../config/define-config.js'
import { UserValues } from '../../config/user-values.js'
import { parseConfig } from '../../config/validate.js'
import { configFailure } from './config-failure.js'

/** The files that are looked for, in this order. */
const configNames = ['ts', 'mts', 'js', 'mjs'].map(extension => `switchyard.config.${extension}`)

/**
 * The tasks, recipes and other values of the folder's `switchyard.config.ts` (or .mts, .js, .mjs), with the built-in
 * ones; only these if there is no such file. Throws a ConfigError if the file cannot be run, or has no
 * configuration.
 */
export async function loadUserValues(folder = process.cwd()): Promise<UserValues> {
  for (const name of configNames) {
    const path = join(folder, name)
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return new UserValues(checked(await run(path), path), path, task => ({
        module: new URL('./load-in-thread.js', import.meta.url).href,
        argument: { folder, name: task },
      }))
  }
  return new UserValues()
}

/**
 * As `loadUserValues`, for commands that may need no value of the file: if it cannot be loaded, the built-in values are
 * found, and the error for any other name says why the file was not read.
 */
export async function findUserValues(folder = process.cwd()): Promise<UserValues> {
  try {
    return await loadUserValues(folder)
  } catch (error) {
    if (error instanceof SwitchyardError) return new UserValues({}, undefined, undefined, error)
    throw error
  }
}

/**
 * Runs a file of TypeScript or JavaScript and returns its default export. jiti translates TypeScript on any Node; the
 * program's own modules are passed to it, so that the file's `switchyard-ml` is this very program.
 */
async function run(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti')
  const { packageModules } = await import('./package-modules.js')
  const jiti = createJiti(path, { fsCache: false, interopDefault: false, virtualModules: await packageModules() })
  try {
    return (await jiti.import<{ default?: unknown }>(path)).default
  } catch (error) {
    if (error instanceof SwitchyardError) throw new ConfigError(`${path}: ${error.message}`, { cause: error })
    throw await configFailure(path, error)
  }
}

function checked(value: unknown, path: string): UserConfig {
  const form = 'export default defineConfig({ tasks: [...], recipes: {...} })'
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(`${path}: the file has no configuration as its default export: ${form}`)
  parseConfig(userConfigSchema, value, path)
  return value as UserConfig
}

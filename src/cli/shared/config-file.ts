import { readFile } from 'node:fs/promises'
import { FileError } from '../../base/errors.js'
import { withPath } from '../../checkpoint/files.js'
import { parseRunConfig } from '../../config/validate.js'
import type { RunConfig } from '../../train/config.js'

/** A run's configuration in a JSON file, alone or as `run.json` holds it. Throws a FileError or a ConfigError. */
export async function readConfigFile(path: string): Promise<RunConfig> {
  const text = await withPath(path, () => readFile(path, 'utf8'))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FileError(
      `${path}: this is not JSON (${(error as Error).message}): give the JSON file of a run's configuration`,
    )
  }
  const config = typeof value === 'object' && value !== null && 'config' in value ? value.config : value
  return parseRunConfig(config, `the configuration in ${path}`)
}

/** Whether a name is that of a file of a configuration. Its content may still be something else. */
export const isConfigFile = (name: string): boolean => /\.json$/i.test(name)

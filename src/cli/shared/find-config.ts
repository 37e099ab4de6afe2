import { exists } from '../../checkpoint/atomic.js'
import { isFile } from '../../checkpoint/files.js'
import { parseRunConfig } from '../../config/validate.js'
import { openCheckpoint } from '../../train/checkpointing.js'
import type { RunConfig } from '../../train/config.js'
import { readRunStart } from '../../train/run-start.js'
import { isConfigFile, readConfigFile } from './config-file.js'
import { findRun, isPath } from './find-run.js'
import { findUserValues } from './user-config.js'

/** The configuration of a built-in recipe, one of the user's, or a task. */
export const recipeNamed = async (name: string, command = 'train'): Promise<RunConfig> =>
  (await findRun(await findUserValues(), name, command)).config

/** Whether a name is the path of a run: a folder, or a path of one that does not exist and is no recipe either. */
export const isRunPath = async (name: string): Promise<boolean> =>
  (await exists(name)) || (isPath(name) && !(await findUserValues()).runNames.includes(name))

/** The configuration of a run's latest checkpoint, of a run that has none yet, or in a JSON file. */
export async function configOfRun(path: string): Promise<RunConfig> {
  if (isConfigFile(path) && (await isFile(path))) return readConfigFile(path)
  const start = await readRunStart(path)
  const what = `the configuration in ${path}`
  if (start !== undefined) return parseRunConfig(start.config, what)
  const checkpoint = await openCheckpoint(path)
  await checkpoint.close()
  return parseRunConfig(checkpoint.config, what)
}

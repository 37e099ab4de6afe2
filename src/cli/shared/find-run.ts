import { stat } from 'node:fs/promises'
import { ConfigError } from '../../base/errors.js'
import type { NamedRun, UserValues } from '../../config/user-values.js'
import { latestCheckpoint, runsFolder } from '../../checkpoint/run-folder.js'
import { presets } from '../../model/presets.js'
import { shippedModels } from '../../open/shipped-models.js'
import { similarPath } from '../../data/sources/similar-path.js'
import { isConfigFile, readConfigFile } from './config-file.js'
import { invocation } from './invocation.js'
import { shellWord } from './shell-word.js'

/** Whether a name has the form of a path with a folder, as recipes and presets have not. */
export const isPath = (name: string): boolean => /[/\\]/.test(name)

/**
 * The run that a recipe's or a task's name describes, or the configuration in a JSON file. Throws a ConfigError for a
 * path, which says how it is used: `command` is the command that takes a file by `--data`.
 */
export async function findRun(known: UserValues, name: string, command: string): Promise<NamedRun> {
  if (known.runNames.includes(name)) return known.runNamed(name)
  const info = await stat(name).catch(() => undefined)
  const word = shellWord(name)
  if (info?.isFile() && isConfigFile(name)) return runOfFile(known, name)
  if (info?.isFile())
    throw new ConfigError(`${name} is a file, and no recipe: ${invocation()} ${command} --data ${word} reads it`)
  if (info?.isDirectory())
    throw new ConfigError(
      `${name} is a folder, and no recipe: ${invocation()} train --resume ${word} goes on with a run, and finetune ${word} --data FILE trains its model on other data`,
    )
  const run = `${runsFolder}/${name}`
  if ((await latestCheckpoint(run).catch(() => undefined)) !== undefined)
    throw new ConfigError(
      `${name} is the name of a run, and no recipe or task: ${invocation()} train --resume ${shellWord(run)} goes on with it`,
    )
  if (presets.has(name) || (await shippedModels()).includes(name))
    throw new ConfigError(
      `${name} is the name of a model, and no recipe or task: ${invocation()} finetune ${word} --data FILE trains it on your data, if ${word} is a folder or a model of the hub; ${invocation()} inspect ${word} shows it`,
    )
  const similar = /[/\\]|\.\w+$/.test(name) ? await similarPath(name, [runsFolder]) : undefined
  if (similar !== undefined)
    throw new ConfigError(`there is no recipe, file or run "${name}"; did you mean ${similar}?`)
  return known.runNamed(name, command === 'plan' ? '' : 'To train on your own data, give --data pairs.tsv.')
}

/** The run that a file's configuration describes: one that begins with new weights. */
async function runOfFile(known: UserValues, path: string): Promise<NamedRun> {
  const config = await readConfigFile(path)
  const { from, distill, task } = config
  if (from !== null || distill !== null)
    throw new ConfigError(
      `${path}: this is the configuration of a run that ${from === null ? 'learns from a teacher (distill)' : `begins with the weights of ${from.path} (from)`}: set ${from === null ? 'distill' : 'from'} to null to begin with new weights, or use ${invocation()} ${from === null ? 'distill' : 'finetune'}`,
    )
  return { config, values: task.kind === 'custom' ? await known.allValuesOf(config) : known.valuesOf(config) }
}

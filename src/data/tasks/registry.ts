import { z } from 'zod'
import { customSchema, missingValue } from '../../base/custom.js'
import { ConfigError } from '../../base/errors.js'
import type { TaskLoadOptions, Task, TaskCodec, TaskConfig } from '../task.js'
import { withLoader } from '../task-loader.js'
import { brown, pos } from './brown.js'
import { g2p } from './g2p.js'
import type { TaskKind } from './kind.js'
import { pairs } from './pairs.js'
import { spam } from './spam.js'

/** The built-in tasks. A new task is a file beside this one, and an entry here. */
const kinds: readonly TaskKind[] = [g2p, pairs, brown, pos, spam]

const kindOf = ({ schema }: TaskKind): unknown => (schema.shape.kind as z.ZodLiteral<string>).value

/** The names of the built-in tasks that need no settings. */
export const namedTasks: readonly string[] = kinds
  .filter(kind => kind.schema.safeParse({ kind: kindOf(kind) }).success)
  .map(kind => String(kindOf(kind)))

/** A configuration's `task`: the kind and settings of a built-in task, or the name of a custom one. */
export const taskSchema = z.discriminatedUnion('kind', [
  customSchema,
  ...kinds.map(kind => kind.schema),
]) as unknown as z.ZodType<TaskConfig>

/**
 * The task that a configuration names, with its data; `codec` as for `TaskKind.load`. Throws a ConfigError for a custom
 * task, which only a program can supply, and for an unknown kind.
 */
export async function loadTask(config: TaskConfig, codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task> {
  if (config.kind === 'custom') throw missingValue('task', String(config.name))
  const kind = kinds.find(candidate => kindOf(candidate) === config.kind)
  if (kind === undefined)
    throw new ConfigError(`there is no task "${config.kind}"; there are ${kinds.map(kindOf).join(', ')}`)
  const task = await kind.load(config, codec, options)
  return withLoader(task, { module: import.meta.url, argument: task.config ?? config })
}

/**
 * The codec with which a model is fine-tuned to the task of a name, given the model's own codec. A model that was
 * trained on the same task keeps its codec: do not ask for it.
 */
export const codecToFineTune = (name: string, own: TaskCodec): TaskCodec =>
  kinds.find(candidate => kindOf(candidate) === name)?.codecToFineTune?.(own) ?? own

/** Loads a built-in task in another thread (`TaskLoader`). */
export const loadInThread = (config: unknown, codec: TaskCodec): Promise<Task> => loadTask(config as TaskConfig, codec)

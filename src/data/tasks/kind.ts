import { z } from 'zod'
import { ConfigError } from '../../base/errors.js'
import type { TaskLoadOptions, Task, TaskCodec, TaskConfig } from '../task.js'

/** A built-in task: the word that names it in a configuration, its settings, and how to load it. */
export interface TaskKind {
  readonly schema: z.ZodObject
  /**
   * Loads the task that a configuration names. For a model that was trained before, `codec` is the codec it was trained
   * with: data that has changed since then must not change an id.
   */
  load(config: TaskConfig, codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task>
  /** The codec with which a model is fine-tuned to this task, given the model's own. Default: its own. */
  codecToFineTune?(own: TaskCodec): TaskCodec
}

/**
 * Declares a built-in task. `settings` are the settings besides `kind`; `load` gets them checked. `codecToFineTune` as
 * for `TaskKind`.
 */
export function taskKind<S extends z.ZodRawShape>(
  kind: string,
  settings: S,
  load: (settings: z.infer<z.ZodObject<S>>, codec?: TaskCodec, options?: TaskLoadOptions) => Promise<Task>,
  codecToFineTune?: TaskKind['codecToFineTune'],
): TaskKind {
  const schema = z.strictObject({ kind: z.literal(kind), ...settings })
  return {
    schema,
    codecToFineTune,
    load(config, codec, options) {
      const result = schema.safeParse(config)
      if (!result.success) throw new ConfigError(`the settings of the task ${kind}: ${z.prettifyError(result.error)}`)
      return load(result.data as z.infer<z.ZodObject<S>>, codec, options)
    },
  }
}

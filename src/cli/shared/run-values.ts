import type { TaskCodec } from '../../data/task.js'
import { openFrozen, teacherOf } from '../../open/frozen-model.js'
import type { FrozenModel } from '../../open/frozen-model.js'
import type { RunConfig } from '../../train/config.js'
import type { TrainerHooks, TrainerValues } from '../../train/values.js'
import { checkSettings } from '../train/early-checks.js'
import { findModelValues, loadUserValues } from './user-config.js'

/** The values of a run that exists: its task, its custom values, and the teacher that its configuration names. */
export interface RunValues {
  readonly values: TrainerValues
  /** Functions of the configuration file that every training calls. */
  readonly hooks: TrainerHooks
  readonly teacher?: FrozenModel
}

/**
 * Finds the values that a run's configuration names: built in, or in the user's configuration file. `codec` is that of
 * a checkpoint of the run. Throws a FileError if its teacher is gone or has changed.
 */
export async function valuesOfRun(config: RunConfig, codec?: TaskCodec): Promise<RunValues> {
  const known = await loadUserValues()
  const { hooks } = known
  checkSettings(config, known.valuesOf(config))
  const values = await known.allValuesOf(config, codec)
  const named = config.distill?.teacher
  if (named?.kind !== 'weights') return { values, hooks }
  const teacher = await openFrozen(named, { findValues: findModelValues })
  return { values: { ...values, teacher: teacherOf(teacher) }, hooks, teacher }
}

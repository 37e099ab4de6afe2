import type { TaskCodec } from '../../data/task.js'
import { openFrozen, teacherOf } from '../../open/frozen-model.js'
import type { RunConfig } from '../../train/config.js'
import type { TrainerHooks, TrainerValues } from '../../train/values.js'
import { reportOn } from './distillation-report.js'
import { checkSettings } from './early-checks.js'
import type { FinalReport } from './running.js'
import { findModelValues } from './model-values.js'
import { loadUserValues } from './user-config.js'

/** What a run that exists needs: its task, its custom values, and the teacher that its configuration names. */
export interface RunValues {
  readonly values: TrainerValues
  /** Functions of the configuration file that every training calls. */
  readonly hooks: TrainerHooks
  /** What the run prints at its end, if it has such a teacher. */
  readonly report?: FinalReport
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
  return { values: { ...values, teacher: teacherOf(teacher) }, hooks, report: reportOn(teacher) }
}

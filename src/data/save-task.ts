import { SwitchyardError } from '../base/errors.js'
import { fieldNeeds } from './field-needs.js'
import { leafTasks } from './mixture.js'
import type { FieldNeed } from './saved-data.js'
import { saveCodec } from './task.js'
import type { SavedCodec, Task } from './task.js'

/** What a checkpoint keeps of its task besides the configuration: the codec, and what is needed of the data. */
export const saveTask = (task: Task): SavedCodec => ({
  ...saveCodec(task),
  data: { digests: leafTasks(task).flatMap(({ digests = [] }) => digests), needs: needsOf(task) },
})

/** Null if examples of the source are wrong: a training does not end for that. */
function needsOf(task: Task): FieldNeed[] | null {
  try {
    return fieldNeeds(task)
  } catch (error) {
    if (error instanceof SwitchyardError) return null
    throw error
  }
}

import { formatCount } from '../base/format.js'
import { leafTasks } from './mixture.js'
import type { Task } from './task.js'

/** What a user should know about a task before training: its own notes, and warnings about its splits. */
export const taskNotes = (task: Task): string[] => [
  ...(task.notes ?? []),
  ...leafTasks(task).flatMap(leaf => overlapWarnings(leaf, leaf === task ? '' : `${leaf.name}: `)),
]

/** Splits by a hash of the input share no input; those of files, columns and sources may. */
function overlapWarnings(task: Task, prefix: string): string[] {
  const heldOut = [...task.split('validation'), ...task.split('test')]
  if (heldOut.length === 0) return []
  const known = new Set(task.split('train').map(({ input }) => input))
  const shared = heldOut.filter(({ input }) => known.has(input)).length
  if (shared === 0) return []
  return [
    `warning: ${prefix}${formatCount(shared)} of ${formatCount(heldOut.length)} held-out examples have inputs that are trained on as well: figures on them do not show what the model does with new inputs`,
  ]
}

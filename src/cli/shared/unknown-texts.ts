import { leafTasks } from '../../data/mixture.js'
import type { Task } from '../../data/task.js'
import { coverageWarnings } from '../../data/tokenizers/coverage.js'
import type { VocabularyOrigin } from '../../data/tokenizers/coverage.js'

/** Prints which share of a task's texts the vocabulary cannot write. A task of pairs has this among its notes. */
export function warnOfUnknownTexts(task: Task, origin: VocabularyOrigin): void {
  for (const leaf of leafTasks(task)) {
    const heldOut = [...leaf.split('validation'), ...leaf.split('test')]
    for (const warning of coverageWarnings(leaf.codec, { train: leaf.split('train'), heldOut }, origin))
      console.log(warning)
  }
}

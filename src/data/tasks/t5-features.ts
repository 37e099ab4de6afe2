import type { TaskFeatures } from '../preprocessed-task.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'

/** Both sides with T5's vocabulary, which the package contains. */
export async function t5Features(): Promise<TaskFeatures> {
  const vocabulary = await loadT5Vocabulary()
  return { inputs: { vocabulary }, targets: { vocabulary } }
}

import type { Example } from './example.js'
import { leafTasks } from './mixture.js'
import type { Task } from './task.js'

/** The longest text that is proposed whole. */
const LONGEST = 60
/** So many inputs of a mixture are proposed, of one task each. */
const MOST = 3

/**
 * Inputs to try a task's model with: the task's own suggestions, or a held-out input of the task, or of each task of a
 * mixture. Without held-out examples it is one that was trained on; for a task without texts, the text of its tokens.
 */
export const suggestedInputs = (task: Task): readonly string[] =>
  task.suggestions?.inputs ??
  leafTasks(task)
    .slice(0, MOST)
    .flatMap(leaf => (leaf === task ? [exampleInput(leaf)] : suggestedInputs(leaf).slice(0, 1)))

function exampleInput(task: Task): string {
  const examples = (['test', 'validation', 'train'] as const)
    .map(split => task.split(split))
    .find(all => all.length > 0)
  const text = examples === undefined ? textOfTokens(task) : (plainInput(examples) ?? examples[0].input)
  return shortened(text.replaceAll(/\s+/g, ' ').trim())
}

/** An input that needs no care in a shell. */
const plainInput = (examples: readonly Example[]): string | undefined =>
  examples.find(({ input }) => input.length <= LONGEST && /^[\p{L}\p{N} .,?-]+$/u.test(input) && !input.startsWith('-'))
    ?.input

function textOfTokens(task: Task): string {
  const { inputs } = task.codec
  const lengths = { inputs: LONGEST, targets: LONGEST }
  const [dataset] = (['test', 'train'] as const)
    .map(split => task.tokens(split, { lengths }))
    .filter(({ length }) => length > 0)
  const ids = dataset === undefined ? [] : Array.from(dataset.get(0).inputs)
  return inputs.decode(ids.filter(id => id !== inputs.eosId))
}

/** The words of a text that fit. */
const shortened = (text: string): string =>
  text.length <= LONGEST
    ? text
    : text
        .slice(0, LONGEST + 1)
        .replace(/(.)\s?\S*$/u, '$1')
        .trim() || text.slice(0, LONGEST)

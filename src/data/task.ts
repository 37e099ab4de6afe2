import { z } from 'zod'
import { ConfigError } from '../base/errors.js'
import type { Example, SplitName } from './source.js'
import { vocabularyFromJSON, vocabularySpec } from '../text/from-json.js'
import { codePoints, splitWords, WordVocabulary } from '../text/symbols.js'
import type { Vocabulary } from '../text/vocabulary.js'

/** Where a task's examples come from. A new source adds a member here and a case in `loadTask` (tasks.ts). */
const sourceSpec = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('cmudict') }),
  z.strictObject({ kind: z.literal('pairs'), path: z.string().min(1) }),
])

const taskSpecSchema = z.strictObject({
  name: z.string().min(1).max(200),
  source: sourceSpec,
  lowercase: z.boolean(),
  inputs: vocabularySpec,
  /** Left out when both sides have the same vocabulary. */
  targets: vocabularySpec.optional(),
})

export type SourceSpec = z.infer<typeof sourceSpec>
/** A task as plain data. It is saved in a checkpoint, so that `infer` needs nothing else and `eval` finds the data again. */
export type TaskSpec = z.infer<typeof taskSpecSchema>

/** How a task's text becomes tokens and tokens become text: all that inference needs. */
export interface TaskCodec {
  readonly name: string
  readonly source: SourceSpec
  /** Whether inputs are lower-cased before they are encoded. */
  readonly lowercase: boolean
  readonly inputs: Vocabulary
  readonly targets: Vocabulary
  /** The ids of both sides lie below it: the least size of the model's embedding table. */
  readonly vocabSize: number
  /** What is done to a user's input before `inputs` encodes it. The examples of a split have it done. */
  prepare(text: string): string
  /** The units in which errors are counted: words where the targets' vocabulary has words, else characters. */
  symbols(text: string): string[]
}

/** A task with its data. */
export interface Task extends TaskCodec {
  /** The examples of a split, in a fixed order. In validation and test an input stands once, with all its right answers. */
  split(name: SplitName): readonly Example[]
}

/** Builds the codec of a task, from its parts. */
export function taskCodec(parts: Pick<TaskCodec, 'name' | 'source' | 'lowercase' | 'inputs' | 'targets'>): TaskCodec {
  const { lowercase, inputs, targets } = parts
  const symbols = targets instanceof WordVocabulary ? splitWords : codePoints
  return {
    ...parts,
    vocabSize: Math.max(inputs.size, targets.size),
    prepare: text => (lowercase ? text.trim().toLowerCase() : text.trim()),
    symbols,
  }
}

/** A task as plain data; `taskFromSpec` is the inverse. */
export function taskSpec(task: TaskCodec): TaskSpec {
  const { name, source, lowercase, inputs, targets } = task
  return taskSpecSchema.parse({
    name,
    source,
    lowercase,
    inputs: inputs.toJSON(),
    targets: targets === inputs ? undefined : targets.toJSON(),
  })
}

/** The codec of a saved task, without its data. What the spec says is checked: it may come from a file. */
export function taskFromSpec(spec: unknown): TaskCodec {
  const result = taskSpecSchema.safeParse(spec)
  if (!result.success) throw new ConfigError(`not a task: ${z.prettifyError(result.error)}`)
  const { name, source, lowercase, inputs: inputsSpec, targets: targetsSpec } = result.data
  const inputs = vocabularyFromJSON(inputsSpec)
  const targets = targetsSpec === undefined ? inputs : vocabularyFromJSON(targetsSpec)
  return taskCodec({ name, source, lowercase, inputs, targets })
}

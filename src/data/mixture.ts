import { ConfigError } from '../base/errors.js'
import { concatenate } from './dataset.js'
import { checkTaskName } from './define-task.js'
import type { TaskDefinition } from './define-task.js'
import { mixingRateNumExamples, taskRates } from './mixing/rates.js'
import type { MixtureMember, RateOptions } from './mixing/rates.js'
import { saveCodec } from './task.js'
import type { Task, TaskCodec, TaskMember } from './task.js'

/** A task or a mixture inside a mixture. */
export interface MixtureEntry {
  readonly task: TaskDefinition
  /** How often it is drawn, relative to the others. Default: its rate is proportional to its number of examples. */
  readonly rate?: number
}

export interface MixtureParts extends RateOptions {
  readonly name: string
  /**
   * The mixture's tasks. `maximum`, `scale` and `temperature` change the rates of those without a rate of their own.
   */
  readonly tasks: readonly (TaskDefinition | MixtureEntry)[]
}

/**
 * Defines a mixture: a task that draws its training examples from other tasks and mixtures, by explicit rates or in
 * proportion to their sizes (SeqIO's `mixing_rate_num_examples`). Which task each example comes from is SeqIO's choice
 * for the same rates and seed. All tasks must have one vocabulary. Evaluation reports each task of the mixture.
 */
export function defineMixture({ name, tasks, ...rates }: MixtureParts): TaskDefinition {
  checkTaskName(name)
  if (tasks.length === 0) throw new ConfigError(`the mixture ${name} has no tasks`)
  checkNames(name, tasks)
  return {
    name,
    async load(codec, options) {
      const loaded: { task: Task; rate?: number }[] = []
      for (const entry of tasks) {
        const { task, rate } = 'load' in entry ? { task: entry, rate: undefined } : entry
        loaded.push({ task: await task.load(codec, options), rate })
      }
      const leaves = new Map(loaded.flatMap(({ task }) => leafTasks(task)).map(task => [task.name, task]))
      checkCodecs(name, [...leaves.values()])
      const members = loaded.map(
        ({ task, rate = options?.withoutData ? 1 : mixingRateNumExamples(inputExamples(task), rates) }) =>
          memberOf(task, rate),
      )
      return mixtureOf(
        name,
        [...taskRates(members)].map(([member, rate]) => ({ task: leaves.get(member)!, rate })),
      )
    },
  }
}

/** The task of several tasks. */
function mixtureOf(name: string, members: readonly TaskMember[]): Task {
  const [first] = members
  return {
    name,
    config: { kind: 'custom', name },
    codec: first.task.codec,
    units: { one: 'example', many: 'examples' },
    metrics: [],
    members,
    notes: members.flatMap(({ task }) => task.notes ?? []),
    isRandom: members.some(({ task }) => task.isRandom),
    split: () => [],
    tokens: (split, options) => concatenate(members.map(({ task }) => task.tokens(split, options))),
  }
}

const memberOf = ({ name, members }: Task, rate: number): MixtureMember => ({
  name,
  rate,
  members: members?.map(({ task, rate: own }) => memberOf(task, own)),
})

/** The tasks of a mixture; a task itself if it is none. */
export const leafTasks = (task: Task): Task[] => task.members?.flatMap(member => leafTasks(member.task)) ?? [task]

/** The number of examples by which proportional rates are computed: those of the source, before preprocessors. */
const inputExamples = (task: Task): number =>
  leafTasks(task).reduce((sum, leaf) => sum + (leaf.inputExamples ?? leaf.tokens('train').length), 0)

/** Throws a ConfigError if two tasks have one name: they would be taken for one task that occurs twice. */
function checkNames(mixture: string, tasks: MixtureParts['tasks']): void {
  const known = new Map<string, TaskDefinition>()
  for (const entry of tasks) {
    const task = 'load' in entry ? entry : entry.task
    if ((known.get(task.name) ?? task) !== task)
      throw new ConfigError(`the mixture ${mixture}: two of its tasks have the name "${task.name}": rename one of them`)
    known.set(task.name, task)
  }
}

/** Throws a ConfigError if tasks have different vocabularies: a model has one. */
function checkCodecs(name: string, [first, ...others]: readonly Task[]): void {
  const specOf = (codec: TaskCodec): string => JSON.stringify(saveCodec({ name: 'codec', codec }))
  const expected = specOf(first.codec)
  for (const { name: other, codec } of others)
    if (codec !== first.codec && specOf(codec) !== expected)
      throw new ConfigError(`the mixture ${name}: its tasks ${first.name} and ${other} have different vocabularies`)
}

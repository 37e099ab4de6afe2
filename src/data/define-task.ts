import { checkKeys } from '../base/suggest.js'
import { ConfigError } from '../base/errors.js'
import { symbolErrorRate, wrongAnswerRate } from '../metrics/error-rates.js'
import type { Metric } from '../metrics/metric.js'
import { symbolsOf } from '../text/symbols-of.js'
import { withName } from './named-errors.js'
import type { Postprocessor } from './postprocessors/postprocessor.js'
import { describeValue } from './returned.js'
import { preprocessedTask } from './preprocessed-task.js'
import type { TaskFeatures } from './preprocessed-task.js'
import type { Preprocessor } from './preprocessor.js'
import type { Source } from './sources/source.js'
import { noSplits, openSplits } from './splits.js'
import type { SplitBy } from './splits.js'
import { taskCodec } from './task.js'
import type { TaskLoadOptions, Task, TaskCodec, TaskConfig } from './task.js'

/** A task as a value: nothing is read before `load`. */
export interface TaskDefinition {
  /** Names the task on the command line, in mixtures and in runs. */
  readonly name: string
  /**
   * Opens the task's data. For a model that was trained before, `codec` is the codec it was trained with: the task's
   * texts are encoded by it, and not by the task's own vocabularies. A definition may ignore `options`.
   */
  load(codec?: TaskCodec, options?: TaskLoadOptions): Promise<Task>
}

/** The parts of a task, as SeqIO has them. */
export interface TaskParts {
  readonly name: string
  /** Where the examples come from. Splits that it does not have are taken by `splitBy`. */
  readonly source: Source
  /**
   * Steps that turn the source's examples into `inputs` and `targets`, applied in this order. Texts in the result are
   * encoded by the features' vocabularies, with EOS at the end. Default: none.
   */
  readonly preprocessors?: readonly Preprocessor[]
  /** Both sides' vocabularies, or a function that loads them. */
  readonly features: TaskFeatures | (() => TaskFeatures | Promise<TaskFeatures>)
  /** Turns the texts of answers and targets into the values that the metrics compare. */
  readonly postprocess?: Postprocessor
  /**
   * The figures that score a model's answers, the most important first. Default: error rates of symbols (words or
   * characters, as the targets' vocabulary has them) and of whole answers.
   */
  readonly metrics?: readonly Metric[]
  /** The words for one example and for several. Default: example, examples. */
  readonly units?: Task['units']
  readonly suggestions?: Task['suggestions']
  /** Whether users' inputs are lower-cased. Default: false. */
  readonly lowercase?: boolean
  /**
   * The text by whose hash an example gets its split, where the source has no test split (5% of the training examples
   * are kept for it) or no validation split (1%): examples with equal texts are in one split. The start of a training
   * prints how many are kept. Default: the field `inputs`, `input` or `text`, or all fields. **null turns this off**,
   * as in SeqIO: nothing is taken from the training examples, and the only other splits are those of the source.
   */
  readonly splitBy?: SplitBy
}

/**
 * Defines a task by its source, preprocessors, vocabularies, postprocessor and metrics. The result is a value for
 * `switchyard.config.ts`, for a mixture, or to `load` in a program. A task whose examples have no text, such as span
 * corruption, has no answers to score: it is evaluated by its loss.
 */
export function defineTask(parts: TaskParts): TaskDefinition {
  checkTaskName(parts.name)
  checkParts(parts)
  return {
    name: parts.name,
    load: (codec, options) => loadParts(parts, { kind: 'custom', name: parts.name }, codec, options),
  }
}

const partNames = Object.keys({
  name: 0,
  source: 0,
  preprocessors: 0,
  features: 0,
  postprocess: 0,
  metrics: 0,
  units: 0,
  suggestions: 0,
  lowercase: 0,
  splitBy: 0,
} satisfies Record<keyof TaskParts, 0>)

/** Throws a ConfigError for parts that a program in JavaScript, or a cast, has misspelt. */
function checkParts(parts: TaskParts): void {
  checkKeys(parts, partNames, `the task ${parts.name} has no part`)
  const require = (what: string, value: unknown, name: string, form: string): void => {
    if (typeof (value as Record<string, unknown> | undefined)?.[name] !== 'function')
      throw new ConfigError(`the task ${parts.name}: ${what} has no function \`${name}\`: ${form}`)
  }
  require('its source', parts.source, 'open', 'a source is made by fileSource, csvSource, functionSource ...')
  for (const [i, preprocessor] of (parts.preprocessors ?? []).entries())
    require(`preprocessor ${i + 1}`, preprocessor, 'apply', 'a preprocessor is { name, apply(dataset, context) }')
  for (const [i, metric] of (parts.metrics ?? []).entries())
    require(`metric ${i + 1}`, metric, 'compute', 'predictionMetric(function) and scoreMetric(function) make metrics')
  if (parts.postprocess !== undefined && typeof parts.postprocess !== 'function')
    throw new ConfigError(
      `the task ${parts.name}: postprocess is ${describeValue(parts.postprocess)}: expected a function of a text`,
    )
}

/** Throws a ConfigError for a name that could not be part of a run's folder. */
export function checkTaskName(name: string): void {
  if (!/^[\w.:-]+$/.test(name))
    throw new ConfigError(
      `a task's name has letters, digits and the characters _ . : - only, not ${JSON.stringify(name)}`,
    )
}

/** Opens the data of a task's parts. `config` is how a run's configuration names the task. */
export async function loadParts(
  parts: TaskParts,
  config: TaskConfig,
  codec?: TaskCodec,
  { withoutData = false }: TaskLoadOptions = {},
): Promise<Task> {
  const given = await withName(`the task ${parts.name}: its features`, async () =>
    typeof parts.features === 'function' ? parts.features() : parts.features,
  )
  const features = codec
    ? {
        inputs: { ...given.inputs, vocabulary: codec.inputs },
        targets: { ...given.targets, vocabulary: codec.targets },
      }
    : given
  const own =
    codec ??
    taskCodec({
      inputs: features.inputs.vocabulary,
      targets: features.targets.vocabulary,
      lowercase: parts.lowercase,
    })
  const symbols = symbolsOf(own.targets)
  const { splits, notes, digest } = withoutData
    ? noSplits
    : await withName(`the task ${parts.name}`, () => openSplits(parts.source, parts.splitBy))
  return preprocessedTask({
    facts: {
      name: parts.name,
      config,
      codec: own,
      units: parts.units ?? { one: 'example', many: 'examples' },
      metrics: parts.metrics ?? [
        symbolErrorRate('symbol error rate', symbols),
        wrongAnswerRate('wrong answers', symbols),
      ],
      postprocess: parts.postprocess,
      suggestions: parts.suggestions,
      notes,
    },
    splits,
    digest,
    preprocessors: parts.preprocessors ?? [],
    features,
  })
}

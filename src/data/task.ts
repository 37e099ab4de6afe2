import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { symbolErrorRate, wrongAnswerRate } from '../metrics/error-rates.js'
import type { Metric } from '../metrics/metric.js'
import type { TextCodec } from '../text/codec.js'
import { vocabularyFromJSON, vocabularySpec } from '../text/from-json.js'
import { symbolsOf } from '../text/symbols-of.js'
import type { Dataset } from './dataset.js'
import { tokenDataset } from './features.js'
import type { TokenExample } from './features.js'
import type { Fields } from './preprocessor.js'
import { trimmed, trimmedLowercase } from './preprocessors/encode-texts.js'
import type { Postprocessor } from './postprocessors/postprocessor.js'
import type { TokenFields } from './packing/segments.js'
import { keptByHash, mergeInputs, splitExamples, splitNames } from './example.js'
import type { Example, SplitName } from './example.js'
import { savedDataSchema } from './saved-data.js'
import type { SavedData } from './saved-data.js'

/** Names a task and its settings in a configuration: `{ kind: 'pairs', path: 'pairs.tsv' }`. */
export interface TaskConfig {
  readonly kind: string
  readonly [setting: string]: unknown
}

/** How a task is loaded. */
export interface TaskLoadOptions {
  /**
   * Loads the task without its examples, and reads none of its data: for its preprocessors, metrics and units. Default:
   * false.
   */
  readonly withoutData?: boolean
}

/** A task's codec. It is plain data, so a checkpoint can hold it. */
export interface TaskCodec extends TextCodec {
  /** `prepare` trims inputs; if this is true, it lower-cases them as well. */
  readonly lowercase: boolean
  /** The ids of both sides are below it: the least size of the model's embedding table. */
  readonly vocabSize: number
}

/**
 * Something to learn: examples as text and as tokens, their codec and metrics, and how the command line speaks of them.
 */
export interface Task {
  /** Names the task in messages, and its runs' folders. */
  readonly name: string
  readonly codec: TaskCodec
  /** What one example and several examples are called: `word`, `words`. */
  readonly units: { readonly one: string; readonly many: string }
  /** The figures that score a model's answers, the most important first. */
  readonly metrics: readonly Metric[]
  /** Turns texts into what the metrics take. Default: metrics take texts and `AcceptedAnswers`. */
  readonly postprocess?: Postprocessor
  /** What the command line proposes after training. */
  readonly suggestions?: {
    /** Inputs to try. Default: a held-out example's (see `suggestedInputs`). */
    readonly inputs?: readonly string[]
    /**
     * Arguments of `switchyard` that go on from a run; RUN stands for its folder. Default: resume the run with four
     * times the steps.
     */
    readonly train?: string
  }
  /** What a user should know before training: how the data was read, and what is wrong with it. One line each. */
  readonly notes?: readonly string[]
  /** How a configuration names this task. Left out by tasks that are not built in. */
  readonly config?: TaskConfig
  /**
   * The text examples of a split, in a fixed order: evaluation asks the model their inputs. In validation and test each
   * input occurs once, with all its right answers.
   */
  split(name: SplitName): readonly Example[]
  /**
   * Whether the training split's token examples depend on the seed, so that each epoch draws them anew: span
   * corruption, for example. Default: false.
   */
  readonly isRandom?: boolean
  /** The tasks of a mixture and their rates, in the order in which SeqIO draws from them. */
  readonly members?: readonly TaskMember[]
  /** SHA-256 of the content of the files that the training examples are read from. Default: none are known. */
  readonly digests?: readonly string[]
  /**
   * The number of a split's text examples before those of validation and test that have one input are merged. Default:
   * none are merged.
   */
  countBeforeMerge?(name: SplitName): number
  /** The number of training examples before preprocessing, by which mixtures can set rates. Default: of the tokens. */
  readonly inputExamples?: number
  /**
   * The text examples that the task's preprocessors make of other records, which have the fields of its source. None if
   * the task has no texts. Left out by tasks without preprocessors.
   */
  examplesOf?(records: Dataset<Fields>): readonly Example[]
  /** The data of a split after each stage of its making, from the source on. Left out by tasks without stages. */
  stages?(name: SplitName, options?: TokenOptions): readonly Stage[]
  /** The token examples of a split: what training learns from, and what the loss of a split is computed on. */
  tokens(name: SplitName, options?: TokenOptions): Dataset<TokenExample>
  /**
   * A 32-bit hash of all that the token examples of the training split are made from, by which a resumed run notices
   * changed data. Default: the hash of the token examples, and of random ones of a sample of the first epoch.
   */
  contentHash?(options?: Pick<TokenOptions, 'lengths'>): number
  /** The token examples of a split as SeqIO's `get_dataset` makes them, repeated for ever. Default: from `tokens`. */
  seqioExamples?(name: SplitName, options: SeqioOptions): Dataset<TokenFields>
}

/** What determines a task's examples in SeqIO's order. */
export interface SeqioOptions {
  readonly seed: number
  readonly lengths: { readonly inputs: number; readonly targets: number }
  /** The buffer of the shuffle in examples, or null for no shuffle. */
  readonly shuffleBufferSize: number | null
}

/** A task of a mixture. */
export interface TaskMember {
  readonly task: Task
  /** How often it is drawn, relative to the others. */
  readonly rate: number
}

/** The examples after one stage of a task: its source, or a preprocessor. */
export interface Stage {
  readonly name: string
  readonly examples: Dataset<Fields>
}

/** What a task whose preprocessors are random, or cut text to a length, needs to make its token examples. */
export interface TokenOptions {
  /** The seed of random preprocessors. Default: 0. */
  readonly seed?: number
  /** The length of a row: span corruption, for example, cuts text to it. Default: no limit. */
  readonly lengths?: { readonly inputs: number; readonly targets: number }
}

/** A codec from two vocabularies (one object for both sides, if they share it). Both use one id space. */
export function taskCodec({
  inputs,
  targets,
  lowercase = false,
}: Pick<TaskCodec, 'inputs' | 'targets'> & { lowercase?: boolean }): TaskCodec {
  return {
    inputs,
    targets,
    lowercase,
    vocabSize: Math.max(inputs.size, targets.size),
    prepare: lowercase ? trimmedLowercase : trimmed,
  }
}

/**
 * A task from a list of examples, which are split by `splitOf`, or from the examples of each split. By default an
 * example is called a pair, and answers are scored by two error rates: of symbols (words or characters, as the targets'
 * vocabulary has them) and of whole answers.
 */
export function makeTask(
  parts: Pick<Task, 'name' | 'codec'> &
    Partial<Pick<Task, 'units' | 'metrics' | 'postprocess' | 'suggestions' | 'notes' | 'config' | 'digests'>> &
    ({ examples: Iterable<Example> } | { splits: Readonly<Record<SplitName, Iterable<Example>>> }),
): Task {
  const { codec, ...given } = parts
  const symbols = symbolsOf(codec.targets)
  const prepared = (examples: Iterable<Example>): Example[] =>
    Array.from(examples, example => ({ ...example, input: codec.prepare(example.input) }))
  const { train, validation, test } =
    'splits' in parts
      ? {
          train: prepared(parts.splits.train),
          validation: prepared(parts.splits.validation),
          test: prepared(parts.splits.test),
        }
      : splitExamples(prepared(parts.examples))
  const splits: Record<SplitName, readonly Example[]> = {
    train,
    validation: mergeInputs(validation),
    test: mergeInputs(test),
  }
  return {
    units: { one: 'pair', many: 'pairs' },
    metrics: [symbolErrorRate('symbol error rate', symbols), wrongAnswerRate('wrong answers', symbols)],
    ...given,
    ...('examples' in parts && { notes: [...(parts.notes ?? []), keptNote(parts.name, { train, validation, test })] }),
    codec,
    split: name => splits[name],
    countBeforeMerge: name => ({ train, validation, test })[name].length,
    stages: name => [
      {
        name: 'examples',
        examples: {
          length: splits[name].length,
          get: i => ({ input: splits[name][i].input, target: splits[name][i].target }),
        },
      },
    ],
    // By way of `this`, so that a task spread from this one with another `split` has that split's tokens.
    tokens(name) {
      return tokenDataset(this.codec, this.split(name), `${this.name} (${name})`)
    },
  }
}

function keptNote(name: string, splits: Readonly<Record<SplitName, readonly Example[]>>): string {
  const [train, validation, test] = splitNames.map(split => splits[split].length)
  return `${name}: ${keptByHash(train + validation + test, { validation, test }, 'by a hash of their inputs').join()}`
}

const savedCodecSchema = z.strictObject({
  name: z.string().min(1).max(200),
  lowercase: z.boolean(),
  inputs: vocabularySpec,
  /** Left out when both sides have the same vocabulary. */
  targets: vocabularySpec.optional(),
  /** Written by older versions, and ignored: the configuration now names the data. */
  source: z.unknown().optional(),
  /** What the model was trained on; left out by older versions. */
  data: savedDataSchema.optional(),
})

/** A task's codec as plain data. A checkpoint holds it, so that a model can answer without the task's data. */
export type SavedCodec = z.infer<typeof savedCodecSchema>

/** The task's codec as plain data; `readCodec` is the inverse. */
export function saveCodec({ name, codec }: Pick<Task, 'name' | 'codec'>): SavedCodec {
  const { lowercase, inputs, targets } = codec
  return savedCodecSchema.parse({
    name,
    lowercase,
    inputs: inputs.toJSON(),
    targets: targets === inputs ? undefined : targets.toJSON(),
  })
}

/** The name of a saved task; undefined if the value is not one. */
export const savedName = (saved: unknown): string | undefined => savedCodecSchema.safeParse(saved).data?.name

/** What is kept of the data of a saved task; undefined if the value is not one, or from an older version. */
export const savedData = (saved: unknown): SavedData | undefined => savedCodecSchema.safeParse(saved).data?.data

/** The codec of a saved task. The value may come from a file: a ConfigError says what is wrong with it. */
export function readCodec(saved: unknown): TaskCodec {
  const result = savedCodecSchema.safeParse(saved)
  if (!result.success) throw new ConfigError(`not a saved task: ${z.prettifyError(result.error)}`)
  const { lowercase, inputs: inputsSpec, targets: targetsSpec } = result.data
  const inputs = vocabularyFromJSON(inputsSpec)
  return taskCodec({ inputs, targets: targetsSpec === undefined ? inputs : vocabularyFromJSON(targetsSpec), lowercase })
}

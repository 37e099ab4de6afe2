import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { HASH_SEED, hashStep, hashText, mix32 } from '../base/hash.js'
import { storable } from './dataset.js'
import type { Dataset } from './dataset.js'
import type { TokenExample } from './features.js'
import type { Feature, Fields, FieldValue, Preprocessor, SeedCounter } from './preprocessor.js'
import type { TokenFields } from './packing/segments.js'
import { isCachePlaceholder, seqioPipeline } from './pipeline.js'
import { encodeTexts } from './preprocessors/encode-texts.js'
import { preprocessorKey, withApply } from './preprocessors/seqio/map-preprocessor.js'
import { MapSeedCounter } from './random/seed-counter.js'
import { namedDataset, withNameSync } from './named-errors.js'
import { checkedPreprocessor, fieldsAsText } from './returned.js'
import { excerpt } from './sources/text-lines.js'
import { mergeInputs } from './example.js'
import type { Example, SplitName } from './example.js'
import type { Splits } from './splits.js'
import type { Task, TokenOptions } from './task.js'
import { EncodedStages } from './token-cache/encoded-stages.js'

/** How both sides of a task's examples become tokens. */
export interface TaskFeatures {
  readonly inputs: Feature
  /** The same vocabulary object as for the inputs, if the sides share it. */
  readonly targets: Feature
}

/** The parts of a task that is made by `preprocessedTask`. */
export interface PreprocessedParts {
  readonly facts: Omit<
    Task,
    | 'split'
    | 'stages'
    | 'tokens'
    | 'examplesOf'
    | 'seqioExamples'
    | 'contentHash'
    | 'digests'
    | 'countBeforeMerge'
    | 'isRandom'
    | 'inputExamples'
    | 'members'
  >
  readonly splits: Splits
  /** A hash of the source's content, if it has one. */
  readonly digest?: string
  readonly preprocessors: readonly Preprocessor[]
  readonly features: TaskFeatures
}

type Lengths = TokenOptions['lengths']

/** A split whose first examples have no texts has none: it is not read to its end. */
const MOST_WITHOUT_TEXT = 100

/** Texts are never cut to these lengths; preprocessors that make tokens need some. */
const TEXT_LENGTHS = { inputs: 512, targets: 512 }

/** A task whose examples come from a source and are transformed by preprocessors. */
export function preprocessedTask({ facts, digest, features, ...parts }: PreprocessedParts): Task {
  const { name, codec } = facts
  const { train, validation, test } = parts.splits
  const sourceOf = (dataset: Dataset<Fields>): Dataset<Fields> => namedDataset(`the task ${name}: its source`, dataset)
  const splits = { train: sourceOf(train), validation: sourceOf(validation), test: sourceOf(test) }
  const preprocessors = parts.preprocessors.map((preprocessor, i) =>
    namedPreprocessor(`the task ${name}: preprocessor ${i + 1} (${preprocessor.name})`, preprocessor),
  )
  const stages = (from: number, to: number, dataset: Dataset<Fields>, seeds: SeedCounter, lengths: Lengths) => {
    const context = { seeds, lengths: lengths ? { ...lengths } : null, features: { ...features } }
    return preprocessors.slice(from, to).reduce((data, preprocessor) => preprocessor.apply(data, context), dataset)
  }
  // Examples before the first random preprocessor are the same for all seeds.
  const firstRandom = firstThatTakesSeeds(
    (count, seeds) => stages(0, count, splits.train, seeds, TEXT_LENGTHS),
    preprocessors,
  )
  const isRandom = firstRandom < preprocessors.length
  /** The last preprocessor. */
  const encoded = encodeTexts(name, codec.prepare)
  const encoding = new EncodedStages({
    task: name,
    features: { ...features },
    stages: isRandom ? preprocessors.slice(0, firstRandom) : [...preprocessors, encoded],
  })

  const apply = (split: SplitName, seed: number, lengths: Lengths): Dataset<Fields> =>
    isRandom
      ? stages(
          firstRandom,
          preprocessors.length,
          encoding.stored(split, splits[split], lengths ?? null),
          new MapSeedCounter(seed),
          lengths,
        )
      : stages(0, preprocessors.length, splits[split], new MapSeedCounter(seed), lengths)

  /** The examples whose sides are text, or were text before `tokenize`; none if they never were. */
  const textExamples = (dataset: Dataset<Fields>, kind: string): Example[] => {
    const examples: Example[] = []
    const lacking: { index: number; side: string; fields: Fields }[] = []
    for (let i = 0; i < dataset.length; i++) {
      const fields = dataset.get(i)
      const input = fields.inputs_pretokenized ?? fields.inputs
      const target = fields.targets_pretokenized ?? fields.targets
      if (typeof input === 'string' && typeof target === 'string')
        examples.push({ input: codec.prepare(input), target, alternatives: textsOf(fields.alternatives), fields })
      else lacking.push({ index: i, side: typeof input === 'string' ? 'targets' : 'inputs', fields })
      // Tasks such as span corruption have no texts at all.
      if (examples.length === 0 && lacking.length === MOST_WITHOUT_TEXT) return []
    }
    if (examples.length === 0) return []
    if (lacking.length > 0) {
      const [{ index, side, fields }] = lacking
      throw new ConfigError(
        `the task ${name}: ${formatCount(lacking.length)} of the ${formatCount(dataset.length)} ${kind} examples have no text for an answer; the first is example ${index}, without text in "${side}": ${excerpt(fieldsAsText(fields))}. Leave such examples out by a preprocessor (filter), or give them all texts`,
      )
    }
    return examples
  }

  /** SeqIO's order stores what comes before the placeholder. */
  const stable = new EncodedStages({
    task: name,
    features: { ...features },
    stages: preprocessors.slice(0, Math.max(0, preprocessors.findIndex(isCachePlaceholder))),
  })
  const known = new Map<SplitName, { readonly examples: readonly Example[]; readonly before: number }>()
  const examplesOf = (split: SplitName): { readonly examples: readonly Example[]; readonly before: number } => {
    const found = known.get(split)
    if (found !== undefined) return found
    const all = textExamples(apply(split, 0, TEXT_LENGTHS), split)
    const made = { examples: split === 'train' ? all : examplesToAsk(facts, all), before: all.length }
    known.set(split, made)
    return made
  }
  return {
    ...facts,
    digests: digest === undefined ? [] : [digest],
    isRandom,
    inputExamples: splits.train.length,
    contentHash: ({ lengths } = {}) =>
      encoding.stored('train', splits.train, lengths ?? null).hash?.() ??
      (digest === undefined ? hashOf(splits.train) : hashText(digest)),
    split: split => examplesOf(split).examples,
    countBeforeMerge: split => examplesOf(split).before,
    examplesOf: records =>
      textExamples(stages(0, preprocessors.length, records, new MapSeedCounter(0), TEXT_LENGTHS), 'given'),
    stages: (split, { seed = 0, lengths = TEXT_LENGTHS } = {}) => [
      { name: 'source', examples: splits[split] },
      ...preprocessors.map(({ name: stage }, i) => ({
        name: stage,
        examples: stages(0, i + 1, splits[split], new MapSeedCounter(seed), lengths),
      })),
    ],
    seqioExamples: (split, options) =>
      seqioPipeline(splits[split], {
        ...options,
        preprocessors: [...preprocessors, encoded],
        features: { ...features },
        epochs: null,
        cache: () => stable.stored(split, splits[split], options.lengths),
      }) as Dataset<TokenFields>,
    tokens(split, { seed = 0, lengths } = {}) {
      const context = {
        seeds: new MapSeedCounter(0),
        lengths: lengths ? { ...lengths } : null,
        features: { ...features },
      }
      const examples = encoded.apply(apply(split, seed, lengths), context) as Dataset<Fields & TokenExample>
      return isRandom
        ? examples
        : storable(
            examples,
            () => encoding.stored(split, splits[split], lengths ?? null) as Dataset<TokenExample & Fields>,
          )
    },
  }
}

/** A preprocessor whose errors name it. What a user's own function returns is checked. */
function namedPreprocessor(part: string, preprocessor: Preprocessor): Preprocessor {
  const checked = preprocessorKey(preprocessor) === undefined ? checkedPreprocessor(preprocessor) : preprocessor
  return withApply(checked, (dataset, context) => {
    const result = withNameSync(part, () => checked.apply(dataset, context))
    return namedDataset(part, result)
  })
}

/**
 * A task's examples as evaluation asks them: each input once, with all its right answers. A postprocessor and a metric
 * of scores tell what belongs together: for them, candidate answers to one input stay apart.
 */
export const examplesToAsk = (
  { postprocess, metrics }: Pick<Task, 'postprocess' | 'metrics'>,
  examples: readonly Example[],
): readonly Example[] =>
  postprocess || metrics.some(({ input }) => input === 'scores') ? examples : mergeInputs(examples)

/** The index of the first preprocessor that takes seeds, as only random ones do; their number if none does. */
function firstThatTakesSeeds(
  apply: (count: number, seeds: SeedCounter) => void,
  { length }: readonly Preprocessor[],
): number {
  for (let count = 1; count <= length; count++) {
    const seeds = new MapSeedCounter(0)
    apply(count, seeds)
    if (seeds.next !== 0) return count - 1
  }
  return length
}

/** A 32-bit hash of all examples. */
function hashOf(examples: Dataset<Fields>): number {
  let hash = hashStep(HASH_SEED, examples.length)
  for (let i = 0; i < examples.length; i++) hash = hashStep(hash, hashText(fieldsAsText(examples.get(i))))
  return mix32(hash)
}

const textsOf = (value: FieldValue | undefined): string[] =>
  Array.isArray(value) ? value.filter(item => typeof item === 'string') : []

import { ConfigError } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import { LongWork } from './long-work.js'
import { describeValue, fieldsAsText, isDataset } from './returned.js'
import type { Fields } from './preprocessor.js'
import { keptByHash, splitNames, splitOf } from './example.js'
import type { SplitName } from './example.js'
import type { Source, SourceDataset } from './sources/source.js'

/** The source examples of each split. A split that the source lacks is empty. */
export type Splits = Readonly<Record<SplitName, Dataset<Fields>>>

/** A source's splits, and what is known of the source. */
export interface OpenedSplits {
  readonly splits: Splits
  /** What a user should know: how the source is read, and which splits were taken from others. */
  readonly notes: readonly string[]
  /** A hash of the whole content that the training split is from, if the source has one. */
  readonly digest?: string
}

/** Chooses the split of an example by its text; null: none is taken, and a source without splits is all training. */
export type SplitBy = ((example: Fields) => string) | null

/** Other names under which sources have a validation split. */
const VALIDATION_NAMES = ['validation', 'valid', 'val', 'dev']

/**
 * Opens a source's splits. A test or validation split that the source does not have is taken from its training split,
 * by a hash of `splitBy`'s text (see `splitOf`); so are all splits of a source that has none.
 */
export async function openSplits(source: Source, splitBy: SplitBy = splitText): Promise<OpenedSplits> {
  const names = source.splits ?? []
  const open = async (candidates: readonly string[]): Promise<SourceDataset | undefined> => {
    const name = candidates.find(candidate => names.includes(candidate))
    return name === undefined ? undefined : checkOpened(source, await source.open(name))
  }
  const train = source.splits === null ? checkOpened(source, await source.open()) : await open(['train'])
  const given = { validation: await open(VALIDATION_NAMES), test: await open(['test']) }
  const opened = [train, given.validation, given.test].filter(dataset => dataset !== undefined)
  const facts = { notes: opened.flatMap(({ notes }) => notes ?? []), digest: train?.digest }
  const whole = { train: train ?? none, validation: given.validation ?? none, test: given.test ?? none }
  if (train === undefined || splitBy === null || (given.validation && given.test)) return { splits: whole, ...facts }
  const hashed = hashSplits(train, splitBy, { validation: given.validation, test: given.test })
  return {
    splits: { ...whole, ...hashed },
    ...facts,
    notes: [...facts.notes, ...takenNotes(source, train.length, given, hashed)],
  }
}

/** Says how many training examples of the source became those of other splits. */
function takenNotes(
  { name }: Source,
  all: number,
  given: Readonly<Partial<Record<SplitName, unknown>>>,
  hashed: Partial<Splits>,
): string[] {
  const taken = (split: 'validation' | 'test'): number | undefined =>
    given[split] === undefined ? hashed[split]!.length : undefined
  const how = 'by a hash of their text (splitBy: null leaves all in training)'
  return keptByHash(all, { validation: taken('validation'), test: taken('test') }, how).map(
    note => `the source ${name}: ${note}`,
  )
}

/** Throws a ConfigError unless a source's `open` returned examples with random access. */
function checkOpened(source: Source, opened: SourceDataset): SourceDataset {
  if (isDataset(opened)) return opened
  throw new ConfigError(
    `the source ${source.name} returned ${describeValue(opened)} from \`open\`: expected { length, get(index), notes, close() }`,
  )
}

const none: Dataset<Fields> = {
  length: 0,
  get() {
    throw new RangeError('an empty split has no examples')
  },
}

/** The splits of a task without data. */
export const noSplits: OpenedSplits = { splits: { train: none, validation: none, test: none }, notes: [] }

/** The training split, and the splits that are not `given`. Reads each example once, and keeps 4 bytes for it. */
function hashSplits(
  examples: Dataset<Fields>,
  splitBy: (example: Fields) => string,
  given: Readonly<Partial<Record<SplitName, unknown>>>,
): Partial<Splits> {
  const indices: Record<SplitName, number[]> = { train: [], validation: [], test: [] }
  const work = new LongWork('choosing the examples of each split', examples.length)
  for (let i = 0; i < examples.length; i++) {
    const split = splitOf(splitBy(examples.get(i)))
    indices[given[split] === undefined ? split : 'train'].push(i)
    work.at(i)
  }
  work.end()
  const taken = splitNames.filter(name => given[name] === undefined)
  return Object.fromEntries(taken.map(name => [name, select(examples, Uint32Array.from(indices[name]))]))
}

/** The text by which an example gets its split. */
function splitText(example: Fields): string {
  const text = example.inputs ?? example.input ?? example.text
  return typeof text === 'string' ? text : fieldsAsText(example)
}

/** The examples of a dataset at some indices. */
const select = <T>(dataset: Dataset<T>, indices: Uint32Array): Dataset<T> => ({
  length: indices.length,
  get: index => dataset.get(indices[index]),
})

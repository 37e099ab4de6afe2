import type { Dataset } from './dataset.js'
import type { Fields } from './preprocessor.js'
import { splitNames, splitOf } from './example.js'
import type { SplitName } from './example.js'
import type { Source } from './sources/source.js'

/** The source examples of each split. A split that the source lacks is empty. */
export type Splits = Readonly<Record<SplitName, Dataset<Fields>>>

/** Other names under which sources have a validation split. */
const VALIDATION_NAMES = ['validation', 'valid', 'val', 'dev']

/**
 * Opens a source's splits. If it has none, or a training split only, its examples are split by a hash of `splitBy`'s
 * text: see `splitOf`.
 */
export async function openSplits(source: Source, splitBy: (example: Fields) => string = splitText): Promise<Splits> {
  const names = source.splits
  if (names === null) return hashSplits(await source.open(), splitBy)
  if (names.length === 1 && names[0] === 'train') return hashSplits(await source.open('train'), splitBy)
  const open = async (candidates: readonly string[]): Promise<Dataset<Fields>> => {
    const name = candidates.find(candidate => names.includes(candidate))
    return name === undefined ? select(empty, new Uint32Array(0)) : source.open(name)
  }
  return { train: await open(['train']), validation: await open(VALIDATION_NAMES), test: await open(['test']) }
}

const empty: Dataset<Fields> = {
  length: 0,
  get() {
    throw new RangeError('an empty split has no examples')
  },
}

/** Reads each example once, and keeps 4 bytes for it. */
function hashSplits(examples: Dataset<Fields>, splitBy: (example: Fields) => string): Splits {
  const indices: Record<SplitName, number[]> = { train: [], validation: [], test: [] }
  for (let i = 0; i < examples.length; i++) indices[splitOf(splitBy(examples.get(i)))].push(i)
  const [train, validation, test] = splitNames.map(name => select(examples, Uint32Array.from(indices[name])))
  return { train, validation, test }
}

/** The text by which an example gets its split. */
function splitText(example: Fields): string {
  const text = example.inputs ?? example.input ?? example.text
  return typeof text === 'string'
    ? text
    : JSON.stringify(example, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
}

/** The examples of a dataset at some indices. */
const select = <T>(dataset: Dataset<T>, indices: Uint32Array): Dataset<T> => ({
  length: indices.length,
  get: index => dataset.get(indices[index]),
})

import type { Dataset } from '../dataset.js'
import type { Fields } from '../preprocessor.js'
import { FlatSequences } from './flat-sequences.js'

/** A dataset, and the hash of all its examples if they are stored. */
export interface StoredFields extends Dataset<Fields> {
  hash?(): number
}

/**
 * A dataset's examples, each computed once and stored in flat arrays, if all their fields are token ids; otherwise the
 * dataset itself, whose examples are computed whenever they are asked for. The result has the same examples.
 */
export function storeFields(dataset: Dataset<Fields>): StoredFields {
  const { length } = dataset
  if (length === 0 || length === Infinity) return dataset
  const names = Object.keys(dataset.get(0))
  const sequences = new FlatSequences(names.length)
  for (let i = 0; i < length; i++) {
    const example = dataset.get(i)
    const values = names.map(name => example[name])
    if (Object.keys(example).length !== names.length || !values.every(value => value instanceof Int32Array))
      return dataset
    sequences.add(values)
  }
  return {
    length,
    hash: () => sequences.hash(),
    get: index => Object.fromEntries(sequences.get(index).map((value, f) => [names[f], value])),
  }
}

/**
 * A sequence of examples with random access, as SeqIO's `tf.data.Dataset` never had: `get` computes or reads one
 * example, in any order and as often as it is asked. The same index always gives an equal example.
 */
export interface Dataset<T> {
  /** The number of examples; Infinity for a dataset that repeats forever. */
  readonly length: number
  /**
   * Set if the examples repeat: get(i + period) equals get(i). A stage may learn its period only while it is read, so
   * undefined means "not known yet". Stages after a repetition use it to index one period instead of every epoch.
   */
  readonly period?: number
  /** The example at `index`, from 0 to length - 1. */
  get(index: number): T
}

/** A dataset whose examples are computed when they are asked for, and that can be stored. */
export interface StorableDataset<T> extends Dataset<T> {
  /** The same examples, all computed once and stored: in memory, or in the cache for encoded data. */
  stored(): Dataset<T>
}

export const storable = <T>(dataset: Dataset<T>, stored: () => Dataset<T>): StorableDataset<T> => ({
  get length() {
    return dataset.length
  },
  get: index => dataset.get(index),
  stored,
})

/** The stored examples of a dataset that can be stored; otherwise the dataset itself. */
export const storedOf = <T>(dataset: Dataset<T>): Dataset<T> =>
  'stored' in dataset ? (dataset as StorableDataset<T>).stored() : dataset

/** The dataset of a list's items. */
export const datasetOf = <T>(items: readonly T[]): Dataset<T> => ({ length: items.length, get: index => items[index] })

/** The examples at evenly spread indices of a dataset; of one that never ends, the first ones. */
export function spreadExamples<T>(dataset: Dataset<T>, most: number): T[] {
  const { length } = dataset
  const count = Math.min(length, most)
  return Array.from({ length: count }, (_, i) =>
    dataset.get(length === Infinity ? i : Math.floor((i * length) / count)),
  )
}

/**
 * The dataset of `change` of each example, computed when it is asked for. The result must depend on the example alone:
 * the index is for messages.
 */
export const mapDataset = <A, B>(dataset: Dataset<A>, change: (example: A, index: number) => B): Dataset<B> => ({
  get length() {
    return dataset.length
  },
  get period() {
    return dataset.period
  },
  get: index => change(dataset.get(index), index),
})

/** The examples of several datasets, one dataset after the other. */
export function concatenate<T>(datasets: readonly Dataset<T>[]): Dataset<T> {
  return {
    get length() {
      return datasets.reduce((sum, { length }) => sum + length, 0)
    },
    get(index) {
      let own = index
      for (const dataset of datasets) {
        if (own < dataset.length) return dataset.get(own)
        own -= dataset.length
      }
      throw new RangeError(`there is no example ${index}`)
    },
  }
}

import type { Dataset } from '../dataset.js'

/** The dataset repeated, `epochs` times or endlessly (null). An empty one stays empty. */
export function repeatDataset<T>(dataset: Dataset<T>, epochs: number | null): Dataset<T> {
  if (epochs === 1) return dataset
  return {
    get length() {
      return dataset.length === 0 ? 0 : dataset.length * (epochs ?? Infinity)
    },
    get period() {
      return dataset.period ?? dataset.length
    },
    get: index => dataset.get(index % dataset.length),
  }
}

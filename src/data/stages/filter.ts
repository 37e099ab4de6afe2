import type { Dataset } from '../dataset.js'
import { GrowingSums } from './growing-sums.js'

/**
 * The examples that `keep` accepts, in their order. Each is read once to decide (of examples that repeat, those of one
 * period), in order, as far as the index has to grow. Memory: about 1 byte for each of them.
 */
export function filterDataset<T>(dataset: Dataset<T>, keep: (example: T) => boolean): Dataset<T> {
  const kept = new GrowingSums(dataset, index => (keep(dataset.get(index)) ? 1 : 0), Uint8Array)
  return {
    get length() {
      return kept.total
    },
    get period() {
      return kept.period
    },
    get: index => dataset.get(kept.find(index).item),
  }
}

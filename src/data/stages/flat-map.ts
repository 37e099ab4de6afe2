import type { Dataset } from '../dataset.js'
import { GrowingSums } from './growing-sums.js'
import { rememberLast } from './remember.js'

/**
 * The outputs of each example, one example after the other: tf.data's `map` and `unbatch`. Each example is expanded
 * once to count its outputs, in order, as far as the index has to grow (of examples that repeat, those of one period),
 * and again when an output is asked for.
 */
export function flatMapDataset<T, U>(dataset: Dataset<T>, expand: (example: T) => readonly U[]): Dataset<U> {
  const outputs = rememberLast(index => expand(dataset.get(index)))
  const sums = new GrowingSums(dataset, index => outputs(index).length)
  return {
    get length() {
      return sums.total
    },
    get period() {
      return sums.period
    },
    get: index => {
      const { item, before } = sums.find(index)
      return outputs(item)[index - before]
    },
  }
}

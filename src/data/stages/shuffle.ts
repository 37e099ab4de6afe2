import type { Dataset } from '../dataset.js'
import { ShuffleOrder } from '../random/shuffle-order.js'

/** tf.data's `shuffle(buffer_size, seed)`. Memory: 16 bytes for each place of the buffer; no example is held. */
export function shuffleDataset<T>(
  dataset: Dataset<T>,
  { bufferSize, seed }: { bufferSize: number; seed: number },
): Dataset<T> {
  let order: ShuffleOrder | undefined
  return {
    get length() {
      return dataset.length
    },
    get: index => {
      order ??= new ShuffleOrder({ length: dataset.length, bufferSize, seed })
      return dataset.get(order.get(index))
    },
  }
}

import { ConfigError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import { MixtureDraws } from './mixture-draws.js'

/**
 * The dataset that SeqIO's mixture draws from the datasets of its tasks, which are in the order of their names
 * (`taskRates`). It ends at the first draw from a dataset that is used up; to find this end, its `length` makes all
 * draws before it. It is endless if all datasets are.
 */
export function mixDatasets<T>(
  datasets: readonly Dataset<T>[],
  rates: readonly number[],
  seed?: number | bigint,
): Dataset<T> {
  if (datasets.length !== rates.length)
    throw new ConfigError(`a mixture of ${datasets.length} datasets has ${rates.length} rates: give one for each`)
  const draws = new MixtureDraws(rates, seed)
  let length: number | undefined
  const findEnd = (): number => {
    if (datasets.every((dataset, task) => rates[task] === 0 || dataset.length === Infinity)) return Infinity
    for (let index = 0; ; index++) {
      const { task, example } = draws.get(index)
      if (example >= datasets[task].length) return index
    }
  }
  return {
    get length() {
      return (length ??= findEnd())
    },
    get(index) {
      const { task, example } = draws.get(index)
      if (example >= datasets[task].length) throw new RangeError(`example ${index} is past the end of the mixture`)
      return datasets[task].get(example)
    },
  }
}

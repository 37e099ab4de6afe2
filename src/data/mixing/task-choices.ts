import { ConfigError } from '../../base/errors.js'
import { RandomDataset } from '../random/random-dataset.js'
import { streamOf } from '../random/seed.js'
import type { Seed } from '../random/seed.js'
import { doubleOf } from '../random/stateless.js'

/** The seed of SeqIO's mixtures that have none and are not shuffled. */
const DEFAULT_MIXTURE_SEED = 42

/**
 * One sample of TensorFlow's `stateless_multinomial`: a class, drawn by its cumulative weights. `cumulative` is what
 * `cumulativeWeights` returns.
 */
export function multinomial(cumulative: Float64Array, seed: Seed): number {
  const [first, second] = streamOf(seed).words(2)
  const sought = doubleOf(first, second) * cumulative[cumulative.length - 1]
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (cumulative[middle] > sought) high = middle
    else low = middle + 1
  }
  return low
}

/** The running sums of exp(logit - greatest logit). The logits are float32, the sums float64, as in TensorFlow. */
export function cumulativeWeights(logits: ArrayLike<number>): Float64Array {
  const float32 = Float32Array.from(logits)
  const greatest = float32.reduce((a, b) => Math.max(a, b), -Infinity)
  let sum = 0
  return Float64Array.from(float32, logit => (sum += Math.exp(logit - greatest)))
}

/**
 * Which task a mixture draws from, for each draw: the choices of `tf.data.Dataset.sample_from_datasets(weights, seed)`.
 * Each choice depends only on its index, the seed and the rates, and costs the same for every index.
 */
export class TaskChoices {
  /** The tasks with a rate above 0, from which alone TensorFlow draws. */
  private readonly drawn: readonly number[]
  private readonly cumulative: Float64Array
  private readonly seeds: RandomDataset

  /** `rates` are those of the tasks in the order of their names (`taskRates`). */
  constructor(
    readonly rates: readonly number[],
    seed: number | bigint = DEFAULT_MIXTURE_SEED,
  ) {
    const wrong = rates.find(rate => !(rate >= 0 && rate < Infinity))
    if (wrong !== undefined) throw new ConfigError(`a mixing rate is ${wrong}: it must be a number of 0 or more`)
    this.drawn = rates.flatMap((rate, task) => (rate > 0 ? [task] : []))
    if (this.drawn.length === 0) throw new ConfigError('a mixture needs at least one task with a rate above 0')
    this.cumulative = cumulativeWeights(this.drawn.map(task => Math.log(Math.fround(rates[task]))))
    this.seeds = new RandomDataset(seed)
  }

  /** The tasks of `count` draws, from draw `first` on: indices into `rates`. */
  range(first: number, count: number): Uint32Array {
    if (this.drawn.length === 1) return new Uint32Array(count).fill(this.drawn[0])
    // Draw i has the seed pair (word 2i, word 2i + 1); a block has four words, of two draws.
    const skipped = first % 2
    const words = this.seeds.stream.words(2 * (count + skipped), (first - skipped) / 2)
    return Uint32Array.from({ length: count }, (_, i) => {
      const at = 2 * (i + skipped)
      return this.drawn[multinomial(this.cumulative, [words[at], 0, words[at + 1], 0])]
    })
  }
}

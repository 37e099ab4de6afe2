import type { Dataset } from '../dataset.js'
import type { SeedCounter } from '../preprocessor.js'
import { ExampleSeeds } from '../random/seed-counter.js'
import type { Seed } from '../random/seed.js'

/**
 * `seqio.map_over_dataset(num_seeds)`: a map whose function gets its own seeds for each example, the same whenever the
 * example is asked for. Over a repeated dataset each repetition has new seeds.
 */
export function mapWithSeeds<T, U>(
  dataset: Dataset<T>,
  counter: SeedCounter,
  numSeeds: number,
  map: (example: T, seeds: readonly Seed[]) => U,
): Dataset<U> {
  const seeds = new ExampleSeeds(counter, numSeeds)
  return {
    get length() {
      return dataset.length
    },
    get: index => map(dataset.get(index), seeds.all(index)),
  }
}

import { check } from '../../base/errors.js'
import type { SeedCounter } from '../preprocessor.js'
import { RandomDataset } from './random-dataset.js'
import type { Seed } from './seed.js'

/** `seqio.map_seed_manager`: a counter that begins at a seed and that every random preprocessor advances. */
export class MapSeedCounter implements SeedCounter {
  private counter: number

  constructor(initialSeed: number) {
    check(Number.isSafeInteger(initialSeed), () => `a seed must be a whole number, not ${initialSeed}`)
    this.counter = initialSeed
  }

  /** The counter's value for the next preprocessor. */
  get next(): number {
    return this.counter
  }

  take(numSeeds: number): number {
    const value = this.counter
    this.counter += 2 * numSeeds
    return value
  }
}

/**
 * The seeds that `seqio.map_over_dataset` gives to the examples of one preprocessor. With the counter at c, seed i of
 * example e is (RandomDataset(c + 2i)[e], RandomDataset(c + 2i + 1)[e]), so the seeds of any example are had at once.
 */
export class ExampleSeeds {
  private readonly streams: readonly RandomDataset[]

  constructor(counter: SeedCounter, numSeeds: number) {
    const first = counter.take(numSeeds)
    this.streams = Array.from({ length: 2 * numSeeds }, (_, i) => new RandomDataset(first + i))
  }

  /** Seed `i` of the example at `index`. */
  get(index: number, i = 0): Seed {
    return [this.streams[2 * i].get(index), 0, this.streams[2 * i + 1].get(index), 0]
  }

  /** All seeds of the example at `index`. */
  all(index: number): Seed[] {
    return Array.from({ length: this.streams.length / 2 }, (_, i) => this.get(index, i))
  }
}

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import type { PackedFeatures } from './converters/batch.js'
import type { TokenExample } from './features.js'
import { OpenRows } from './open-rows.js'
import type { PackedSize } from './open-rows.js'
import { otherExamples } from './streams/example-stream.js'
import type { ExampleStream, StreamOptions, Ticket } from './streams/example-stream.js'
import { StoredEpochs, storeExamples } from './streams/stored-epochs.js'

export interface IteratorOptions extends PackedSize, StreamOptions {
  /**
   * A batch is finished when this many examples did not fit into it. They are carried over: the next batch begins with
   * them. A larger number makes batches denser and the iterator slower. Default: 4 for each row.
   */
  readonly maxCarried?: number
}

export interface TrainBatch {
  readonly features: PackedFeatures
  /** The number of examples in the batch. */
  readonly examples: number
  /** The number of tokens that are not padding, inputs and targets together. */
  readonly tokens: number
}

const id = z.int().min(0)
const stateSchema = z.looseObject({
  seed: z.int(),
  /** A hash of the examples. A run cannot be resumed exactly with other examples. */
  fingerprint: id.max(0xffffffff),
  /** The examples that were drawn and are in no batch yet: at most `maxCarried` and those of one row. */
  carried: z.array(z.union([id, z.array(id)])),
})

/** The position of an iterator, as plain JSON; besides these, it has the entries of its stream's state. */
export type IteratorState = z.infer<typeof stateSchema>

/**
 * An endless sequence of packed training batches. A dataset's examples are drawn once an epoch, in an order that
 * depends only on the seed and the epoch. A few of the last examples of an epoch are in the first batches of the next.
 */
export class TrainIterator {
  private readonly stream: ExampleStream
  private readonly maxCarried: number
  private carried: Ticket[] = []

  constructor(
    examples: Dataset<TokenExample> | ExampleStream,
    private readonly options: IteratorOptions,
  ) {
    this.maxCarried = checkOptions(options)
    this.stream =
      'draw' in examples ? examples : new StoredEpochs(storeExamples(examples, options), options.seed, options.shard)
  }

  get skipped(): number {
    return this.stream.skipped
  }

  get truncated(): number {
    return this.stream.truncated
  }

  /** The number of epochs so far, as a fraction: 1.5 is the middle of the second epoch. */
  get epochs(): number {
    return this.stream.epochs
  }

  /** The next batch. Its arrays are new, so the caller may change them. */
  next(): TrainBatch {
    const open = new OpenRows(this.options)
    const left: Ticket[] = []
    let examples = 0
    let tokens = 0
    const put = (ticket: Ticket): void => {
      const example = this.stream.get(ticket)
      if (open.place(example)) {
        examples++
        tokens += example.inputs.length + example.targets.length
      } else {
        left.push(ticket)
      }
    }
    // Carried examples are placed first, into empty rows, so that each is used in the next batch at the latest.
    for (const ticket of this.carried) put(ticket)
    while (left.length < this.maxCarried && !open.full) put(this.stream.draw())
    this.carried = left
    return { features: open.features(), examples, tokens }
  }

  /**
   * The current position. An iterator over the same examples that restores it gives exactly the batches that follow.
   */
  state(): IteratorState {
    const carried = this.carried.map(ticket => (typeof ticket === 'number' ? ticket : [...ticket]))
    return { seed: this.options.seed, fingerprint: this.stream.fingerprint, ...this.stream.state(), carried }
  }

  /** Moves to a saved position. The value may come from a file: a ConfigError says what is wrong with it. */
  restore(saved: unknown): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of a data iterator: ${z.prettifyError(result.error)}`)
    const { seed, fingerprint, carried, ...position } = result.data
    if (fingerprint !== this.stream.fingerprint) throw otherExamples()
    if (seed !== this.options.seed)
      throw new ConfigError(`this run began with the data seed ${seed}, not ${this.options.seed}`)
    this.stream.restore(position)
    for (const ticket of carried) this.stream.check(ticket)
    this.carried = [...carried]
  }
}

/** Checks the options and returns `maxCarried`. */
function checkOptions({ rows, inputLength, targetLength, seed, maxCarried = 4 * rows }: IteratorOptions): number {
  for (const [name, value] of Object.entries({ rows, inputLength, targetLength, maxCarried })) {
    if (!Number.isInteger(value) || value < 1)
      throw new ConfigError(`${name} must be a whole number of 1 or more, not ${value}`)
  }
  if (!Number.isInteger(seed) || seed < -(2 ** 31) || seed >= 2 ** 32)
    throw new ConfigError(`the seed must be a 32-bit integer, not ${seed}`)
  return maxCarried
}

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { bucketOf, chooseBuckets } from './buckets/choose-buckets.js'
import type { Bucket } from './buckets/choose-buckets.js'
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
  /**
   * Without packing, rows of like lengths share a batch, which is no longer than its bucket: at most this many sizes of
   * batches, chosen from the lengths of the first examples. Default: 1, all batches are full size.
   */
  readonly buckets?: number
}

export interface TrainBatch {
  readonly features: PackedFeatures
  /** The number of examples in the batch. */
  readonly examples: number
  /** The number of tokens that are not padding, inputs and targets together. */
  readonly tokens: number
}

/**
 * An example that was drawn. It is kept beside its ticket while it is carried, because making it may take long. At most
 * `maxCarried` examples and those of one row are carried; with buckets, fewer than a batch for each bucket.
 */
interface Drawn {
  readonly ticket: Ticket
  readonly example: TokenExample
}

const id = z.int().min(0)
const stateSchema = z.looseObject({
  seed: z.int(),
  /** A hash of the examples. A run cannot be resumed exactly with other examples. */
  fingerprint: id.max(0xffffffff),
  /** The tickets of the examples that were drawn and are in no batch yet. */
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
  private carried: Drawn[] = []
  /** The sizes of batches; undefined: one size, whose rows may be packed. */
  readonly buckets: readonly Bucket[] | undefined

  constructor(
    examples: Dataset<TokenExample> | ExampleStream,
    private readonly options: IteratorOptions,
  ) {
    this.maxCarried = checkOptions(options)
    this.stream =
      'draw' in examples ? examples : new StoredEpochs(storeExamples(examples, options), options.seed, options.shard)
    const { buckets = 1, packing = true } = options
    this.buckets = buckets > 1 && !packing ? this.chooseBuckets(buckets) : undefined
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
    if (this.buckets !== undefined) return this.nextOfBucket(this.buckets)
    const open = new OpenRows(this.options)
    const left: Drawn[] = []
    let examples = 0
    let tokens = 0
    const put = (drawn: Drawn): void => {
      const { example } = drawn
      if (open.place(example)) {
        examples++
        tokens += example.inputs.length + example.targets.length
      } else {
        left.push(drawn)
      }
    }
    // Carried examples are placed first, into empty rows, so that each is used in the next batch at the latest.
    for (const drawn of this.carried) put(drawn)
    while (left.length < this.maxCarried && !open.full) put(this.draw())
    this.carried = left
    return { features: open.features(), examples, tokens }
  }

  /** The first bucket that has a batch's rows gives the next batch. The other examples that were drawn are carried. */
  private nextOfBucket(buckets: readonly Bucket[]): TrainBatch {
    const { rows, specialIds, targetEos } = this.options
    /** The places of each bucket's examples among those that are carried. */
    const waiting = buckets.map((): number[] => [])
    const sort = (place: number): number => waiting[bucketOf(buckets, this.carried[place].example)].push(place)
    for (const place of this.carried.keys()) sort(place)
    let bucket = -1
    while ((bucket = waiting.findIndex(places => places.length >= rows)) < 0) sort(this.carried.push(this.draw()) - 1)
    const places = waiting[bucket].slice(0, rows)
    const open = new OpenRows({ rows, packing: false, specialIds, targetEos, ...buckets[bucket] })
    let tokens = 0
    for (const place of places) {
      const { example } = this.carried[place]
      open.place(example)
      tokens += example.inputs.length + example.targets.length
    }
    this.carried = this.carried.filter((_, place) => !places.includes(place))
    return { features: open.features(), examples: rows, tokens }
  }

  private draw(): Drawn {
    const ticket = this.stream.draw()
    return { ticket, example: this.stream.get(ticket) }
  }

  /** The sizes of buckets for the first examples of the stream, which is then at its beginning again. */
  private chooseBuckets(count: number): Bucket[] {
    const start = structuredClone(this.stream.state())
    const lengths = Array.from({ length: MEASURED_FOR_BUCKETS }, () => {
      const { inputs, targets } = this.draw().example
      return [inputs.length, targets.length] as const
    })
    this.stream.restore(start)
    return chooseBuckets(lengths, this.options, count)
  }

  /**
   * The current position. An iterator over the same examples that restores it gives exactly the batches that follow.
   */
  state(): IteratorState {
    const carried = this.carried.map(({ ticket }) => (typeof ticket === 'number' ? ticket : [...ticket]))
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
    this.carried = carried.map(ticket => ({ ticket, example: this.stream.get(ticket) }))
  }
}

/** The lengths of so many examples decide the sizes of buckets. */
const MEASURED_FOR_BUCKETS = 1000

/** Checks the options and returns `maxCarried`. */
function checkOptions({
  rows,
  inputLength,
  targetLength,
  seed,
  buckets = 1,
  maxCarried = 4 * rows,
}: IteratorOptions): number {
  for (const [name, value] of Object.entries({ rows, inputLength, targetLength, buckets, maxCarried })) {
    if (!Number.isInteger(value) || value < 1)
      throw new ConfigError(`${name} must be a whole number of 1 or more, not ${value}`)
  }
  if (!Number.isInteger(seed) || seed < -(2 ** 31) || seed >= 2 ** 32)
    throw new ConfigError(`the seed must be a 32-bit integer, not ${seed}`)
  return maxCarried
}

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import type { PackedFeatures } from './converters/batch.js'
import { fitLengths } from './features.js'
import type { TokenExample, TooLong } from './features.js'
import { OpenRows } from './open-rows.js'
import type { PackedSize } from './open-rows.js'
import { shuffledIndices } from './shuffle.js'
import { HASH_SEED, hashStep, mix32 } from '../base/hash.js'

export interface IteratorOptions extends PackedSize {
  /** A 32-bit integer. Together with the examples and the sizes it determines every batch. */
  readonly seed: number
  /** What to do with examples that are longer than a row; they are counted. Default: skip. */
  readonly tooLong?: TooLong
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

const stateSchema = z.strictObject({
  seed: z.int(),
  /** A hash of the examples. A run cannot be resumed exactly with other examples. */
  fingerprint: z.int().min(0).max(0xffffffff),
  epoch: z.int().min(0),
  /** How many examples of this epoch have been drawn. */
  position: z.int().min(0),
  /** The indices of examples that were drawn and are in no batch yet. */
  carried: z.array(z.int().min(0)),
})

/** The position of an iterator, as plain JSON. */
export type IteratorState = z.infer<typeof stateSchema>

/**
 * An endless sequence of packed training batches. Each epoch draws all examples once, in an order that depends only on
 * the seed and the epoch. A few of the last examples of an epoch are in the first batches of the next.
 */
export class TrainIterator {
  readonly skipped: number
  readonly truncated: number
  private readonly examples: readonly TokenExample[]
  private readonly fingerprint: number
  private readonly maxCarried: number
  private epochNumber = 0
  private position = 0
  private carried: number[] = []
  private order: Uint32Array

  constructor(
    examples: Dataset<TokenExample>,
    private readonly options: IteratorOptions,
  ) {
    const { rows, inputLength, targetLength, seed } = options
    const maxCarried = options.maxCarried ?? 4 * rows
    for (const [name, value] of Object.entries({ rows, inputLength, targetLength, maxCarried })) {
      if (!Number.isInteger(value) || value < 1)
        throw new ConfigError(`${name} must be a whole number of 1 or more, not ${value}`)
    }
    if (!Number.isInteger(seed) || seed < -(2 ** 31) || seed >= 2 ** 32)
      throw new ConfigError(`the seed must be a 32-bit integer, not ${seed}`)
    const fitted = fitLengths(examples, options, options.tooLong ?? 'skip')
    if (fitted.examples.length === 0) {
      throw new ConfigError(
        fitted.skipped === 0
          ? 'there are no examples to train on'
          : `all ${fitted.skipped} examples are longer than ${inputLength} input or ${targetLength} target tokens: raise the lengths`,
      )
    }
    this.examples = fitted.examples
    this.skipped = fitted.skipped
    this.truncated = fitted.truncated
    this.fingerprint = fingerprintOf(fitted.examples)
    this.maxCarried = maxCarried
    this.order = shuffledIndices(this.examples.length, seed, 0)
  }

  /** The number of epochs so far, as a fraction: 1.5 is the middle of the second epoch. */
  get epochs(): number {
    return this.epochNumber + this.position / this.examples.length
  }

  /** The next batch. Its arrays are new, so the caller may change them. */
  next(): TrainBatch {
    const open = new OpenRows(this.options)
    const left: number[] = []
    let examples = 0
    let tokens = 0
    const put = (index: number): void => {
      const example = this.examples[index]
      if (open.place(example)) {
        examples++
        tokens += example.inputs.length + example.targets.length
      } else {
        left.push(index)
      }
    }
    // Carried examples are placed first, into empty rows, so that each is used in the next batch at the latest.
    for (const index of this.carried) put(index)
    while (left.length < this.maxCarried && !open.full) put(this.draw())
    this.carried = left
    return { features: open.features(), examples, tokens }
  }

  /**
   * The current position. An iterator over the same examples that restores it gives exactly the batches that follow.
   */
  state(): IteratorState {
    const { fingerprint, epochNumber: epoch, position, carried } = this
    return { seed: this.options.seed, fingerprint, epoch, position, carried: [...carried] }
  }

  /** Moves to a saved position. The value may come from a file: a ConfigError says what is wrong with it. */
  restore(saved: unknown): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of a data iterator: ${z.prettifyError(result.error)}`)
    const state = result.data
    if (state.fingerprint !== this.fingerprint) {
      throw new ConfigError(
        'the training examples differ from those that this run began with; resuming needs the same data, vocabulary and lengths',
      )
    }
    if (state.seed !== this.options.seed) {
      throw new ConfigError(`this run began with the data seed ${state.seed}, not ${this.options.seed}`)
    }
    const count = this.examples.length
    if (state.position > count || state.carried.some(index => index >= count)) {
      throw new ConfigError(`not the state of a data iterator: it points past the ${count} examples`)
    }
    this.epochNumber = state.epoch
    this.position = state.position
    this.carried = [...state.carried]
    this.order = shuffledIndices(count, state.seed, state.epoch)
  }

  private draw(): number {
    if (this.position === this.order.length) {
      this.epochNumber++
      this.position = 0
      this.order = shuffledIndices(this.examples.length, this.options.seed, this.epochNumber)
    }
    return this.order[this.position++]
  }
}

/** A 32-bit hash of all tokens of all examples. */
function fingerprintOf(examples: readonly TokenExample[]): number {
  let hash = hashStep(HASH_SEED, examples.length)
  for (const { inputs, targets } of examples) {
    hash = hashStep(hashStep(hash, inputs.length), targets.length)
    for (const id of inputs) hash = hashStep(hash, id)
    for (const id of targets) hash = hashStep(hash, id)
  }
  return mix32(hash)
}

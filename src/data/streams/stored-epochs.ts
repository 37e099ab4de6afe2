import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'
import { storedOf } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { LongWork } from '../long-work.js'
import { shuffledIndices } from '../shuffle.js'
import type { ExampleStream, StreamOptions, Ticket } from './example-stream.js'
import { FieldStore } from './field-store.js'
import { Fit } from './fit.js'
import { FlatSequences } from './flat-sequences.js'
import type { Sequences } from './sequences.js'
import { shardOf } from './shard.js'
import type { Shard } from './shard.js'
import { TokenStore } from './token-store.js'

const stateSchema = z.strictObject({
  epoch: z.int().min(0),
  /** How many examples of this epoch have been drawn. */
  position: z.int().min(0),
})

/** What a stream of stored examples is made of. It crosses to a worker thread without being copied. */
export interface StoredExamples {
  readonly store: TokenStore
  readonly fingerprint: number
  readonly skipped: number
  readonly truncated: number
}

/**
 * Reads all examples of a dataset once and stores those that fit. Throws a ConfigError if none do.
 */
export function storeExamples(examples: Dataset<TokenExample>, options: StreamOptions): StoredExamples {
  const fit = new Fit(options)
  const all = storedOf(examples)
  const isStored = all instanceof FieldStore && String(all.fields.map(({ name }) => name)) === 'inputs,targets'
  const store = isStored ? fittingOf(all.sequences, fit) : storeFitting(all, fit)
  if (store.length === 0) throw noExamples(fit)
  return { store, fingerprint: fingerprintOf(store), skipped: fit.skipped, truncated: fit.truncated }
}

/** The examples among stored ones that fit. Only their lengths are read. */
function fittingOf(sequences: Sequences, fit: Fit): TokenStore {
  const kept = new Uint32Array(new SharedArrayBuffer(4 * sequences.length))
  let count = 0
  for (let i = 0; i < sequences.length; i++) {
    const [inputs, targets] = sequences.lengths(i)
    if (fit.admits(inputs, targets)) kept[count++] = i
  }
  const { inputLength, targetLength } = fit.options
  const shared = {
    sequences: sequences.shared,
    kept: count === sequences.length ? undefined : kept.subarray(0, count),
    cut: fit.truncated === 0 ? undefined : { inputs: inputLength, targets: targetLength },
  }
  return new TokenStore(shared, sequences)
}

/** Copies the examples that fit into memory. */
function storeFitting(examples: Dataset<TokenExample>, fit: Fit): TokenStore {
  const sequences = new FlatSequences(2)
  const work = new LongWork('encoding examples', examples.length)
  for (let i = 0; i < examples.length; i++) {
    const fitted = fit.apply(examples.get(i))
    if (fitted) sequences.add([fitted.inputs, fitted.targets])
    work.at(i)
  }
  work.end()
  return new TokenStore({ sequences: sequences.shared, kept: undefined, cut: undefined })
}

/** The error for data of which no example can be trained on. */
export function noExamples({ skipped, options }: Fit): ConfigError {
  const { inputLength, targetLength } = options
  return new ConfigError(
    skipped === 0
      ? 'there are no examples to train on'
      : `all ${skipped} examples are longer than ${inputLength} input or ${targetLength} target tokens: raise the lengths`,
  )
}

/**
 * Examples that are the same in every epoch. Each epoch draws all of them once, in an order that depends only on the
 * seed and the epoch. A ticket is an example's index.
 */
export class StoredEpochs implements ExampleStream {
  readonly fingerprint: number
  readonly skipped: number
  readonly truncated: number
  private readonly store: TokenStore
  private epoch = 0
  private position = 0
  private order: Uint32Array

  constructor(
    readonly examples: StoredExamples,
    readonly seed: number,
    readonly shard?: Shard,
  ) {
    const { store, fingerprint, skipped, truncated } = examples
    this.store = store
    this.fingerprint = fingerprint
    this.skipped = skipped
    this.truncated = truncated
    this.order = this.orderOf(0)
  }

  get epochs(): number {
    return this.epoch + this.position / this.order.length
  }

  draw(): number {
    if (this.position === this.order.length) {
      this.epoch++
      this.position = 0
      this.order = this.orderOf(this.epoch)
    }
    return this.order[this.position++]
  }

  get(ticket: Ticket): TokenExample {
    return this.store.get(ticket as number)
  }

  check(ticket: Ticket): void {
    if (typeof ticket !== 'number' || ticket >= this.store.length) throw this.pastTheEnd()
  }

  state(): z.infer<typeof stateSchema> {
    return { epoch: this.epoch, position: this.position }
  }

  restore(saved: Readonly<Record<string, unknown>>): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of a data iterator: ${z.prettifyError(result.error)}`)
    const { epoch, position } = result.data
    const order = this.orderOf(epoch)
    if (position > order.length) throw this.pastTheEnd()
    this.epoch = epoch
    this.position = position
    this.order = order
  }

  private orderOf(epoch: number): Uint32Array {
    return shardOf(shuffledIndices(this.store.length, this.seed, epoch), this.shard)
  }

  private pastTheEnd(): ConfigError {
    return new ConfigError(`not the state of a data iterator: it points past the ${this.store.length} examples`)
  }
}

/** A 32-bit hash of all tokens of all examples. */
function fingerprintOf(examples: Dataset<TokenExample>): number {
  let hash = hashStep(HASH_SEED, examples.length)
  for (let i = 0; i < examples.length; i++) {
    const { inputs, targets } = examples.get(i)
    hash = hashStep(hashStep(hash, inputs.length), targets.length)
    for (const id of inputs) hash = hashStep(hash, id)
    for (const id of targets) hash = hashStep(hash, id)
  }
  return mix32(hash)
}

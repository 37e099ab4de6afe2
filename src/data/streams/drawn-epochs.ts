import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'
import { spreadExamples } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { TokenExample } from '../features.js'
import { shuffledIndices } from '../shuffle.js'
import { exampleError, otherExamples } from './example-stream.js'
import type { ExampleStream, Reload, StreamOptions, Ticket } from './example-stream.js'
import { Fit } from './fit.js'
import { shardOf } from './shard.js'
import { noExamples } from './stored-epochs.js'

const stateSchema = z.strictObject({
  epoch: z.int().min(0),
  /** How many examples of this epoch have been drawn. */
  position: z.int().min(0),
  /** `contentHash` of the task. Runs of older versions did not record it. */
  content: z.int().optional(),
  /** How many examples have been left out or truncated. Runs of older versions did not record it. */
  skipped: z.int().min(0).default(0),
  truncated: z.int().min(0).default(0),
})

/**
 * The fingerprint reads this many examples, evenly spaced: reading all would make a whole epoch. `content` covers the
 * rest.
 */
const FINGERPRINT_EXAMPLES = 256

/** At most this many earlier epochs are kept: the least recently used one is made again when it is needed. */
const MAX_EARLIER = 8

/** What else is known about drawn examples. */
export interface DrawnFacts {
  /** A hash of all that the examples are drawn from. */
  readonly content?: number
  readonly reload?: Reload
  /** The task's name, for messages. */
  readonly name?: string
}

interface Epoch {
  readonly number: number
  readonly examples: Dataset<TokenExample>
  readonly order: Uint32Array
}

/**
 * Examples that random preprocessors draw anew in each epoch, such as the spans of span corruption. `makeEpoch` gives
 * an epoch's examples from its seed. They are computed when they are needed, in an order that depends only on the seed
 * and the epoch. A ticket is the epoch and the example's index in it.
 */
export class DrawnEpochs implements ExampleStream {
  readonly fingerprint: number
  private readonly fit: Fit
  private current: Epoch
  /** Examples of epochs before the current one: after `restore`, carried tickets may be of several. */
  private readonly earlier = new Map<number, Dataset<TokenExample>>()
  private position = 0
  /** The example that was drawn last: it is asked for next, and not computed again. */
  private latest: { readonly epoch: number; readonly index: number; readonly example: TokenExample } | undefined

  constructor(
    private readonly makeEpoch: (seed: number) => Dataset<TokenExample>,
    private readonly options: StreamOptions,
    private readonly facts: DrawnFacts = {},
  ) {
    this.fit = new Fit(options)
    this.current = this.open(0)
    this.fingerprint = fingerprintOf(this.current.examples)
  }

  get reload(): Reload | undefined {
    return this.facts.reload
  }

  get skipped(): number {
    return this.fit.skipped
  }

  get truncated(): number {
    return this.fit.truncated
  }

  get epochs(): number {
    return this.current.number + this.position / this.current.order.length
  }

  draw(): Ticket {
    for (let tried = 0; tried <= this.current.order.length; tried++) {
      if (this.position === this.current.order.length) {
        this.current = this.open(this.current.number + 1)
        this.position = 0
      }
      const { number, order, examples } = this.current
      const index = order[this.position++]
      const example = this.fit.apply(this.example(number, examples, index))
      if (example === undefined) continue
      this.latest = { epoch: number, index, example }
      return [number, index]
    }
    throw noExamples(this.fit)
  }

  get(ticket: Ticket): TokenExample {
    const [number, index] = ticket as readonly number[]
    if (this.latest?.epoch === number && this.latest.index === index) return this.latest.example
    const example = this.example(number, this.examplesOf(number), index)
    const { inputLength, targetLength } = this.options
    return { inputs: example.inputs.subarray(0, inputLength), targets: example.targets.subarray(0, targetLength) }
  }

  check(ticket: Ticket): void {
    const [number, index] = typeof ticket === 'number' ? [] : ticket
    if (number === undefined || index === undefined || number > this.current.number)
      throw new ConfigError(
        `not the state of a data iterator: ${JSON.stringify(ticket)} is no example of an epoch so far`,
      )
    const examples = this.examplesOf(number)
    if (index >= examples.length) throw this.pastTheEnd(number, examples.length)
  }

  state(): z.infer<typeof stateSchema> {
    const { content } = this.facts
    const { skipped, truncated } = this
    const position = { epoch: this.current.number, position: this.position, skipped, truncated }
    return { ...position, ...(content !== undefined && { content }) }
  }

  restore(saved: Readonly<Record<string, unknown>>): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of a data iterator: ${z.prettifyError(result.error)}`)
    const { epoch, position, content, skipped, truncated } = result.data
    if (content !== undefined && this.facts.content !== undefined && content !== this.facts.content)
      throw otherExamples()
    this.current = this.open(epoch)
    const { length } = this.current.order
    if (position > length) throw this.pastTheEnd(epoch, length)
    this.earlier.clear()
    this.position = position
    this.fit.skipped = skipped
    this.fit.truncated = truncated
  }

  private pastTheEnd(epoch: number, count: number): ConfigError {
    return new ConfigError(`not the state of a data iterator: it points past the ${count} examples of epoch ${epoch}`)
  }

  /** An example, or an error that names it. */
  private example(epoch: number, examples: Dataset<TokenExample>, index: number): TokenExample {
    try {
      return examples.get(index)
    } catch (error) {
      throw exampleError(`${this.facts.name ?? 'the data'}: training example ${index} of epoch ${epoch}`, error)
    }
  }

  private open(number: number): Epoch {
    const { seed, shard } = this.options
    const examples = this.make(number)
    return { number, examples, order: shardOf(shuffledIndices(examples.length, seed, number), shard) }
  }

  private make(number: number): Dataset<TokenExample> {
    const { seed } = this.options
    const examples = this.makeEpoch(number === 0 ? seed : mix32(mix32(seed ^ HASH_SEED) + number))
    if (examples.length === 0) throw noExamples(this.fit)
    return examples
  }

  /** The examples of the current epoch or an earlier one, which is made once and not shuffled. */
  private examplesOf(number: number): Dataset<TokenExample> {
    if (number === this.current.number) return this.current.examples
    const examples = this.earlier.get(number) ?? this.make(number)
    this.earlier.delete(number)
    this.earlier.set(number, examples)
    if (this.earlier.size > MAX_EARLIER) this.earlier.delete(this.earlier.keys().next().value!)
    return examples
  }
}

/** A 32-bit hash of the number of examples and the tokens of some. */
function fingerprintOf(examples: Dataset<TokenExample>): number {
  let hash = hashStep(HASH_SEED, examples.length)
  for (const { inputs, targets } of spreadExamples(examples, FINGERPRINT_EXAMPLES)) {
    for (const id of inputs) hash = hashStep(hash, id)
    for (const id of targets) hash = hashStep(hash, id)
  }
  return mix32(hash)
}

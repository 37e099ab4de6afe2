import { ConfigError, SwitchyardError } from '../../base/errors.js'
import type { TokenExample } from '../features.js'
import type { SavedCodec } from '../task.js'
import type { TaskLoader } from '../task-loader.js'
import type { Shard } from './shard.js'

/** Names one example of a stream: its index, or, where that is not enough, several integers. */
export type Ticket = number | readonly number[]

/**
 * An endless sequence of token examples: a task's examples in random order, epoch after epoch, or a mixture of several
 * tasks. Its state is a few integers.
 */
export interface ExampleStream {
  /** The number of epochs so far, as a fraction: 1.5 is the middle of the second epoch. */
  readonly epochs: number
  /**
   * How many examples are longer than a row, and therefore left out; and how many were truncated. `restore` sets these
   * counts to those of the position.
   */
  readonly skipped: number
  readonly truncated: number
  /** A 32-bit hash of the examples. A run cannot be resumed exactly with other examples. */
  readonly fingerprint: number
  /** How another thread makes the same stream, if its examples are random and its task can be loaded there. */
  readonly reload?: Reload
  /** Moves to the next example. */
  draw(): Ticket
  /** A drawn example. */
  get(ticket: Ticket): TokenExample
  /** Throws a ConfigError if a ticket, which may come from a file, names no example. */
  check(ticket: Ticket): void
  /** The position, as plain JSON. */
  state(): Readonly<Record<string, unknown>>
  /** Moves to a position that `state` gave. Throws a ConfigError for any other value. */
  restore(saved: Readonly<Record<string, unknown>>): void
}

/** How another thread makes a task's stream: by loading the task. Plain data. */
export interface Reload {
  readonly loader: TaskLoader
  readonly codec: SavedCodec
  readonly options: StreamOptions
}

/** The error of a run that is resumed with other examples than it began with. */
export const otherExamples = (): ConfigError =>
  new ConfigError(
    'the training examples differ from those that this run began with; resuming needs the same data, vocabulary and lengths. With other data, go on from its weights: switchyard finetune RUN --data FILE',
  )

/** The error of an example that cannot be made: what failed, and which example. */
export function exampleError(example: string, error: unknown): Error {
  const { message } = error as Error
  if (error instanceof SwitchyardError) return new ConfigError(`${example}: ${message}`, { cause: error })
  // Of a user's function, the place matters as well.
  const place = /^ +at (.*)$/m.exec((error as Error).stack ?? '')?.[1]
  return new ConfigError(`${example} cannot be made: ${message}${place === undefined ? '' : ` (at ${place})`}`, {
    cause: error,
  })
}

/** How long examples may be, and what happens to longer ones. */
export interface FitOptions {
  readonly inputLength: number
  readonly targetLength: number
  /** What to do with examples that are longer than a row; they are counted. Default: skip. */
  readonly tooLong?: TooLong
}

/** What to do with an example that is longer than a row. Truncating drops the end and the EOS, as in T5X. */
export type TooLong = 'skip' | 'truncate'

export interface StreamOptions extends FitOptions {
  /** A 32-bit integer. Together with the examples and the lengths it determines the sequence. */
  readonly seed: number
  /** Which part of each epoch's examples to draw, where several hosts train on the same data. Default: all. */
  readonly shard?: Shard
}

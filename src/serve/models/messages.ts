import type { Bits } from '../../checkpoint/quantize.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import type { AnswerToken } from '../../infer/answer-piece.js'
import type { TextSide } from '../../infer/text-answers.js'
import type {
  Embedded,
  EmbedRequest,
  GenerateEvent,
  GenerateRequest,
  ModelFacts,
  ModelStatistics,
  ScoredTarget,
  ScoreRequest,
} from './served-model.js'

/** How a model is opened, as plain data. */
export interface Opening {
  readonly name: string
  readonly path: string
  readonly bits?: Bits
  readonly checkpoint?: CheckpointChoice
  /** The most bytes of experts in the memory of this process: see `LoadOptions`. */
  readonly expertsMemory?: number
  readonly pins?: string
  readonly limits: ModelLimits
  /** How many copies of the model are still to be loaded, this one included. Default: 1. */
  readonly copies?: number
  /** The threads that compute. Default: all processors. */
  readonly threads?: number
  /**
   * The URL of a module that exports `findModelValues`: it finds the custom router and meaning of a model, which cannot
   * be sent to another process. Default: models have none.
   */
  readonly valuesModule?: string
}

/** What a model takes on at most. */
export interface ModelLimits {
  /** The most tokens of an input. */
  readonly maxInputTokens: number
  /**
   * The most tokens of an answer that a request may ask for; if it names no number, it gets as many as the model's
   * defaults say. Default: the model's limit.
   */
  readonly maxNewTokens?: number
  /** The most rows that are decoded at once. */
  readonly maxRows: number
  /** The most bytes of the decoder's memory of its rows. */
  readonly maxMemoryBytes: number
}

/** What a model's process is asked: the argument and the result of each method of `ServedModel`. */
export interface Calls {
  generate: { readonly asked: GenerateRequest; readonly result: undefined }
  score: { readonly asked: ScoreRequest; readonly result: readonly ScoredTarget[] }
  embed: { readonly asked: EmbedRequest; readonly result: Embedded }
  tokenize: {
    readonly asked: { readonly text: string; readonly as: TextSide }
    readonly result: readonly AnswerToken[]
  }
  detokenize: {
    readonly asked: { readonly tokens: readonly number[]; readonly as: TextSide }
    readonly result: string
  }
  statistics: { readonly asked: null; readonly result: ModelStatistics }
}

export type Method = keyof Calls

/** A call of a method. Its replies have its number. */
export type CallMessage = {
  readonly [M in Method]: {
    readonly kind: 'call'
    readonly id: number
    readonly method: M
    readonly asked: Calls[M]['asked']
  }
}[Method]

/** What the server sends to a model's process. The first message opens the model. */
export type ToModel =
  | { readonly kind: 'open'; readonly opening: Opening }
  | CallMessage
  /** Answered with `pong` as soon as the process computes nothing. */
  | { readonly kind: 'ping' }
  /** The call's signal is aborted: nobody waits for its replies. */
  | { readonly kind: 'cancel'; readonly id: number }

/** What a model's process sends. */
export type FromModel =
  | { readonly kind: 'opened'; readonly facts: ModelFacts }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'pong' }
  /** All replies since the last message: after a step of the scheduler, those to all running calls. */
  | { readonly kind: 'replies'; readonly replies: readonly Reply[] }

/** The replies to a call: events of an answer, then `done` or `error`. */
export type Reply =
  | { readonly id: number; readonly kind: 'event'; readonly event: GenerateEvent }
  | { readonly id: number; readonly kind: 'done'; readonly result: Calls[Method]['result'] }
  | { readonly id: number; readonly kind: 'error'; readonly error: SentError }

/** An error as plain data. */
export interface SentError {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

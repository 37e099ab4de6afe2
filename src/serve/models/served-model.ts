import type { AnswerPiece, AnswerToken } from '../../infer/answer-piece.js'
import type { GeneratorStatistics } from '../../infer/statistics.js'
import type { TextSide } from '../../infer/text-answers.js'
import type { TextOptions } from '../../infer/text-options.js'

/** An input: a text, or token ids as they enter the encoder. */
export type Input = string | readonly number[]

/** Options of generation that can be sent to another process. */
export type SentOptions = Omit<TextOptions, 'processors' | 'search'>

export interface GenerateRequest {
  readonly input: Input
  readonly options: SentOptions
}

/** The first message of an answer, then its pieces. */
export type GenerateEvent =
  { readonly kind: 'input'; readonly tokens: readonly AnswerToken[] } | ({ readonly kind: 'piece' } & AnswerPiece)

/** Given answers to be scored for one input. */
export interface ScoreRequest {
  readonly input: Input
  readonly targets: readonly Input[]
  /** How many of the most probable tokens are told at each place. Default: 0. */
  readonly top?: number
}

export interface ScoredTarget {
  /** With EOS, unless the target was given as ids. */
  readonly tokens: readonly AnswerToken[]
  /** The sum of their log-probabilities. */
  readonly score: number
}

export interface EmbedRequest {
  readonly texts: readonly Input[]
  readonly prompt?: string | null
}

export interface Embedded {
  readonly vectors: readonly Float32Array[]
  /** How many tokens each text has. */
  readonly tokens: readonly number[]
}

/** What a client may know about a model. */
export interface ModelFacts {
  /** By this name clients ask for it. */
  readonly name: string
  /** The folder of its weights: of a run, that of the checkpoint. */
  readonly path: string
  /** When it was loaded, in seconds since 1970. */
  readonly created: number
  readonly parameters: number
  readonly answers: boolean
  /** The size of its vectors; null: it has none. */
  readonly dimension: number | null
  readonly maxInputTokens: number
  /** The most characters of a token's text: so many characters of an input are at least one token. */
  readonly longestToken: number
  readonly maxNewTokens: number
  /** The number of experts of each sparse layer, in order. */
  readonly experts: { readonly encoder: readonly number[]; readonly decoder: readonly number[] }
  /** The most bytes of experts in memory, if experts are read when tokens meet them. */
  readonly expertsMemory?: number
}

/** The state of a model's engine at one moment, and counts since it was loaded. */
export type ModelStatistics = GeneratorStatistics

/**
 * A model that answers requests: in this process (`openServedModel`) or in another (`ModelProcess`). Errors that a
 * client can mend are ConfigErrors. When a signal is aborted, the request leaves the engine within one step, and its
 * call rejects with the signal's reason.
 */
export interface ServedModel {
  readonly facts: ModelFacts
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent>
  score(request: ScoreRequest, signal: AbortSignal): Promise<readonly ScoredTarget[]>
  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedded>
  /** The tokens of a text as the encoder reads it, EOS included, or as an answer. */
  tokenize(text: string, as: TextSide): Promise<readonly AnswerToken[]>
  detokenize(tokens: readonly number[], as: TextSide): Promise<string>
  statistics(): Promise<ModelStatistics>
  /** Ends running requests with an error, and frees the model. */
  close(): Promise<void>
}

import type { TokenExperts } from './expert-choices.js'
import type { Search } from './search.js'

/** One input to answer. */
export interface Request {
  /** Token ids of the input, EOS included. */
  readonly inputs: readonly number[]
  /** Chooses the tokens of its answers. Its `answers` are complete when the request has ended. */
  readonly search: Search
  /** Called once when the input is encoded, with the experts that its tokens met. Not called without this method. */
  onEncoded?(experts: readonly TokenExperts[]): void
  /** Called after every step of the request. */
  onStep?(): void
  /** Called once when the request has ended: without an error if its search finished. Not called after `remove`. */
  onEnd(error?: unknown): void
}

/** The rows of requests together. */
export const countRows = (requests: readonly Request[]): number =>
  requests.reduce((sum, { search }) => sum + search.rows, 0)

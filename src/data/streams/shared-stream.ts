import type { ExampleStream } from './example-stream.js'
import { MixedStream } from './mixed-stream.js'
import type { Shard } from './shard.js'
import { StoredEpochs } from './stored-epochs.js'
import { TokenStore } from './token-store.js'
import type { SharedTokens } from './token-store.js'

/** A stream as plain data that another thread can open. Its tokens are shared memory and are not copied. */
export type SharedStream =
  | {
      readonly kind: 'stored'
      readonly tokens: SharedTokens
      readonly fingerprint: number
      readonly skipped: number
      readonly truncated: number
      readonly seed: number
      readonly shard: Shard | undefined
    }
  | {
      readonly kind: 'mixed'
      readonly members: readonly SharedStream[]
      readonly rates: readonly number[]
      readonly seed: number
    }

/**
 * A stream for another thread, or undefined if it cannot be shared: preprocessors are functions, which do not cross to
 * other threads.
 */
export function shareStream(stream: ExampleStream): SharedStream | undefined {
  if (stream instanceof StoredEpochs) {
    const { store, fingerprint, skipped, truncated } = stream.examples
    return {
      kind: 'stored',
      tokens: store.shared,
      fingerprint,
      skipped,
      truncated,
      seed: stream.seed,
      shard: stream.shard,
    }
  }
  if (!(stream instanceof MixedStream)) return undefined
  const members = stream.members.map(shareStream)
  if (members.includes(undefined)) return undefined
  return { kind: 'mixed', members: members as SharedStream[], rates: stream.rates, seed: stream.seed }
}

/** Opens a stream that another thread shares, at its beginning. */
export function openShared(shared: SharedStream): ExampleStream {
  if (shared.kind === 'mixed') return new MixedStream(shared.members.map(openShared), shared.rates, shared.seed)
  const { tokens, seed, shard, ...facts } = shared
  return new StoredEpochs({ ...facts, store: new TokenStore(tokens) }, seed, shard)
}

import { loadByLoader } from '../task-loader.js'
import type { ExampleStream, Reload } from './example-stream.js'
import { MixedStream } from './mixed-stream.js'
import type { Shard } from './shard.js'
import { StoredEpochs } from './stored-epochs.js'
import { taskStream } from './task-stream.js'
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
  | { readonly kind: 'loaded'; readonly reload: Reload }

/**
 * A stream for another thread: its stored tokens, or, since random preprocessors are functions, how its task is loaded
 * there. Undefined if the other thread can have neither.
 */
export const shareStream = (stream: ExampleStream): SharedStream | undefined =>
  shareStored(stream) ?? (stream.reload && { kind: 'loaded', reload: stream.reload })

/** A stream whose examples are all stored. */
function shareStored(stream: ExampleStream): SharedStream | undefined {
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
  const members = stream.members.map(shareStored)
  if (members.includes(undefined)) return undefined
  return { kind: 'mixed', members: members as SharedStream[], rates: stream.rates, seed: stream.seed }
}

/** Opens a stream that another thread shares, at its beginning. */
export const openShared = async (shared: SharedStream): Promise<ExampleStream> =>
  shared.kind === 'loaded'
    ? taskStream(await loadByLoader(shared.reload.loader, shared.reload.codec), shared.reload.options)
    : openStored(shared)

function openStored(shared: SharedStream): ExampleStream {
  if (shared.kind === 'loaded') throw new RangeError('a stream that is loaded is no part of another')
  if (shared.kind === 'mixed') return new MixedStream(shared.members.map(openStored), shared.rates, shared.seed)
  const { tokens, seed, shard, ...facts } = shared
  return new StoredEpochs({ ...facts, store: new TokenStore(tokens) }, seed, shard)
}

import type { Weights } from '../../checkpoint/weights.js'
import { countParameters } from '../../model/parameters.js'

/**
 * The same weights, whose reading is shown: `onRead` gets the share of all parameters that has been read. Once the
 * signal is aborted, reading throws its reason, so that a writer removes what it has written.
 */
export function watchedWeights<W extends Weights>(
  weights: W,
  { signal, onRead }: { signal: AbortSignal; onRead: (share: number) => void },
): W {
  const total = countParameters(weights.specs)
  const sizes = new Map(
    weights.specs.map(({ path, shape }) => [path, { whole: countParameters([{ shape }]), experts: shape[0] }]),
  )
  let done = 0
  const watched = async <T>(path: string, expert: number | undefined, read: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted()
    const value = await read()
    const { whole = 0, experts = 1 } = sizes.get(path) ?? {}
    // A writer may read an embedding twice.
    done = Math.min(total, done + (expert === undefined ? whole : whole / experts))
    onRead(done / total)
    return value
  }
  const { readTransposed, readQuantized } = weights
  return {
    ...weights,
    read: path => watched(path, undefined, () => weights.read(path)),
    readExpert: (path, expert) => watched(path, expert, () => weights.readExpert(path, expert)),
    ...(readTransposed && {
      readTransposed: (path: string, expert?: number) => watched(path, expert, () => readTransposed(path, expert)),
    }),
    ...(readQuantized && {
      readQuantized: (path: string, expert?: number) => watched(path, expert, () => readQuantized(path, expert)),
    }),
  }
}

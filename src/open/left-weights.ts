import { formatBytes } from '../base/format.js'
import type { OpenedWeights, OpenOptions } from './open-weights.js'

/** How weights that were left on the hub are read: not at all, unless a model's experts are paged. */
export const remoteFor = (
  expertsMemory: number | undefined,
  onNotice?: (message: string) => void,
): OpenOptions['remote'] => (expertsMemory === undefined ? undefined : { onNotice })

/** Says how much was fetched to load a model whose weights were left on the hub. */
export function noteFetched(
  { path, remote }: Pick<OpenedWeights, 'path' | 'remote'>,
  onNotice: (message: string) => void,
): void {
  const bytes = remote?.fetchedBytes() ?? 0
  if (bytes > 0)
    onNotice(
      `${path}: ${formatBytes(bytes)} of weights were fetched from the hub: headers, and all that is dense. Experts are fetched when tokens meet them`,
    )
}

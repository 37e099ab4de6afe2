import type { PageStore } from './page-cache.js'
import { Reads } from './reads.js'
import type { ExpertSource } from './source.js'

export interface CachedExperts {
  readonly source: ExpertSource
  /** Where no experts of other models are, nor of another version of this one. */
  readonly cache: PageStore
}

/** The experts of a slow source, each kept in a cache on disk once it was read. Closing closes the source. */
export function cachedExperts({ source, cache }: CachedExperts): ExpertSource {
  const { name, stacks } = source
  const reads = new Reads(name, stacks)
  let disk = 0

  return {
    name,
    stacks,
    read: (stack, expert, page, signal) =>
      reads.run({ stack, expert, page, signal }, async () => {
        const key = `${stacks[stack].path}/${expert}`
        if (await cache.read(key, page)) disk += page.byteLength
        else {
          await source.read(stack, expert, page, signal)
          await cache.write(key, page)
        }
      }),
    traffic: () => {
      const read = source.traffic()
      return { disk: disk + read.disk, network: read.network }
    },
    close: () => reads.close(() => source.close()),
  }
}

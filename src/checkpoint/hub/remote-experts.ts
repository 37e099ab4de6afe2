import { castHost, tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { partBytes } from '../experts/source.js'
import type { ExpertSource } from '../experts/source.js'
import { transposeMatrix } from '../layout.js'
import type { Weights } from '../weights.js'

/**
 * Readers of single kernels that take them from pages, for callers that quantize experts: a page that was fetched for
 * one kernel is in the cache for the others, and experts never push dense weights out of theirs. `read` reads whole
 * parameters; closing the weights closes the source.
 */
export function readersOf(
  weights: Weights,
  read: Weights['read'],
  source: ExpertSource,
): Pick<Weights, 'readExpert' | 'readTransposed' | 'close'> {
  const places = new Map(
    source.stacks.flatMap(({ parts }, stack) => parts.map(part => [part.parameter, { stack, part }] as const)),
  )
  const dtypeOf = new Map(weights.specs.map(({ path, dtype }) => [path, dtype]))

  /** The kernel of an expert as it is stored, [out, in]. */
  async function readStored(path: string, expert: number): Promise<HostTensor> {
    const { stack, part } = places.get(path)!
    const page = new Uint8Array(source.stacks[stack].bytes)
    await source.read(stack, expert, page)
    return tensorFromBytes(part.dtype, part.shape, page.subarray(part.offset, part.offset + partBytes(part)))
  }

  return {
    readExpert: async (path, expert) =>
      places.has(path)
        ? castHost(transposeMatrix(await readStored(path, expert)), dtypeOf.get(path)!)
        : weights.readExpert(path, expert),
    readTransposed: async (path, expert) =>
      expert === undefined ? transposeMatrix(await read(path)) : readStored(path, expert),
    close: async () => {
      await source.close()
      await weights.close()
    },
  }
}

import type { HostTensor } from '../../base/host-tensor.js'
import type { Weights } from '../weights.js'

/** How many parameters are read at the same time. */
const READS_AT_ONCE = 8

/** Milliseconds between two reports of a long loading. */
const REPORT_MS = 10_000

/**
 * `read` of weights behind a network. The dense parameters that follow in the model's order are read at the same time,
 * since a request takes long to be answered and a model is read in this order. `report` is called from time to time.
 */
export function readAhead(
  { specs, read }: Pick<Weights, 'specs' | 'read'>,
  report: () => void = () => undefined,
): Weights['read'] {
  let reported = Date.now()
  const order = specs.filter(({ role }) => role !== 'expertKernel').map(({ path }) => path)
  const places = new Map(order.map((path, i) => [path, i]))
  const begun = new Map<string, Promise<HostTensor>>()
  return path => {
    if (Date.now() - reported > REPORT_MS) {
      reported = Date.now()
      report()
    }
    const place = places.get(path)
    if (place === undefined) return read(path)
    const wanted = begun.get(path)
    if (!wanted) begun.clear() // not read in order, or the first
    begun.delete(path)
    for (const next of order.slice(place + 1, place + READS_AT_ONCE))
      if (!begun.has(next)) {
        const reading = read(next)
        reading.catch(() => undefined) // it is thrown when that parameter is asked for
        begun.set(next, reading)
      }
    return wanted ?? read(path)
  }
}

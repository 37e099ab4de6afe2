import type { HostTensor } from '../base/host-tensor.js'
import { reader } from '../base/host-tensor.js'
import { Tensor } from '../engine/api/tensor.js'

/** The difference of one tensor from its expected value. */
export interface Row {
  tensor: string
  maxAbsolute: number
  /** The largest difference divided by the largest expected magnitude. */
  maxRelative: number
  ok: boolean
}

/** The default bound of `maxRelative`: smaller differences are rounding errors. */
const defaultTolerance = 1e-5

/** Compares a tensor with its expected value. A different number of elements or a NaN is an infinite difference. */
export function compare(tensor: string, actual: HostTensor, expected: HostTensor, tolerance = defaultTolerance): Row {
  const count = expected.data.length
  if (actual.data.length !== count) return { tensor, maxAbsolute: Infinity, maxRelative: Infinity, ok: false }
  const [a, b] = [reader(actual.dtype, actual.data), reader(expected.dtype, expected.data)]
  let maxAbsolute = 0
  let magnitude = 0
  for (let i = 0; i < count; i++) {
    const difference = Math.abs(a(i) - b(i))
    maxAbsolute = Number.isNaN(difference) ? Infinity : Math.max(maxAbsolute, difference)
    magnitude = Math.max(magnitude, Math.abs(b(i)))
  }
  const maxRelative = maxAbsolute === 0 ? 0 : maxAbsolute / magnitude
  return { tensor, maxAbsolute, maxRelative, ok: maxRelative <= tolerance }
}

/**
 * Compares every expected tensor, in order. An expected tensor that was not computed becomes a failed row.
 */
export async function compareAll(
  actual: ReadonlyMap<string, Tensor | HostTensor>,
  expected: Iterable<readonly [string, HostTensor]>,
  tolerance?: number,
): Promise<Row[]> {
  const rows: Row[] = []
  for (const [name, value] of expected) {
    const found = actual.get(name)
    if (found === undefined) rows.push({ tensor: name, maxAbsolute: Infinity, maxRelative: Infinity, ok: false })
    else rows.push(compare(name, found instanceof Tensor ? await found.data() : found, value, tolerance))
  }
  return rows
}

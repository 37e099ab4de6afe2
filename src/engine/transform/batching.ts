/** Helpers of the batching rules. */
import * as ops from '../program/ops.js'
import type { Value } from '../program/value.js'
import type { Batched } from './rules.js'

export const mapped = (value: Value): Batched => ({ value, batched: true })
export const unmapped = (value: Value): Batched => ({ value, batched: false })

/** The value with the batch as axis 0. A value that is not mapped is repeated. */
export const lead = ({ value, batched }: Batched, size: number): Value =>
  batched ? value : ops.broadcastInDim(value, [size, ...value.shape], ops.range(value.ndim, 1))

/** The axes of one example as axes of a mapped value, in which the batch is axis 0. */
export const shift = (axes: readonly number[]): number[] => axes.map(a => a + 1)

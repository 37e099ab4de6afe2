import { ConfigError } from '../../base/errors.js'

/** One host's share of the examples, of `count` hosts with the same data and seed. `index` counts from 0. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/**
 * A shard's part of an epoch's order: every `count`-th example from `index` on. The shards of an epoch have no example
 * in common, and together have all. Throws a ConfigError for a shard that does not exist or would be empty.
 */
export function shardOf(order: Uint32Array, { index, count }: Shard = { index: 0, count: 1 }): Uint32Array {
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(index) || index < 0 || index >= count)
    throw new ConfigError(`there is no shard ${index} of ${count}: the index must be from 0 to ${count - 1}`)
  if (order.length < count)
    throw new ConfigError(`${order.length} examples cannot be divided into ${count} shards: take fewer`)
  return count === 1 ? order : order.filter((_, position) => position % count === index)
}

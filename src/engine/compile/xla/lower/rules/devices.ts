import { expandShardMap } from '../../../../transform/expand-shard-map.js'
import type { Lowerings } from './rule.js'

/** A collective is written by its shardMap's rule. */
const inShardMap = (): never => {
  throw new Error('a collective outside of a shardMap')
}

/** The primitives about several devices, in a program for one device. */
export const deviceRules = {
  shardingConstraint: (_, [x]) => [x],
  shardMap: ({ block, module }, inputs, params) => module.inline(block, expandShardMap(params), inputs),
  psum: inShardMap,
  allGather: inShardMap,
  reduceScatter: inShardMap,
  allToAll: inShardMap,
  ppermute: inShardMap,
  axisIndex: inShardMap,
} satisfies Lowerings

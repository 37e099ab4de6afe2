import { treeFromPaths } from '../base/pytree.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { initParameter } from './init.js'
import type { ParameterSpec } from './parameters.js'
import type { ModelParams } from './types.js'

/**
 * New random parameters as `initParameters` makes them, with two differences, from which a small model learns much
 * sooner which input token an output token belongs to:
 *
 * - In the cross attention, queries are those of the keys' kernel (scaled as T5 scales new queries), and not
 *   independent of it: a decoder token first attends to encoder tokens that are like it.
 * - Position biases favour neighbours: heads in turn look at the next token, the previous one, the near ones, and
 *   freely (in the decoder: the token before, the one before that, the near ones, freely). T5's own biases are small,
 *   and Adam needs thousands of steps to make a head look at one place.
 *
 * The parameters have T5's shapes and are trained as usual.
 */
export function initAligned(specs: readonly ParameterSpec[], key: Tensor): ModelParams {
  const entries = specs.map((spec, i) => {
    const value = initParameter(spec, isCrossQuery(spec) ? keyOf(specs, spec) : i, key)
    return [spec.path, isBias(spec) ? np.add(value, np.array(neighbourBias(spec))) : value] as const
  })
  return treeFromPaths(entries) as unknown as ModelParams
}

const isBias = ({ role }: ParameterSpec): boolean => role === 'relativePositionBias'
const isCrossQuery = ({ place }: ParameterSpec): boolean =>
  place.sublayer === 'crossAttention' && place.projection === 'query'

/** The index of the key kernel beside a query kernel: drawn with it, the query has the same numbers. */
const keyOf = (specs: readonly ParameterSpec[], { place }: ParameterSpec): number =>
  specs.findIndex(
    other =>
      other.place.stack === place.stack &&
      other.place.layer === place.layer &&
      other.place.sublayer === place.sublayer &&
      other.place.projection === 'key',
  )

/** What a head that looks at one place adds to its scores there. */
const FOCUS = 4
/** What a head that looks at near tokens takes from its scores for each token between, up to so many. */
const DECAY = 0.5
const FARTHEST = 8

/** What is added to the biases of a stack, [heads, buckets]. */
function neighbourBias({ shape: [heads, buckets], place: { stack } }: ParameterSpec): number[][] {
  const isEncoder = stack === 'encoder'
  // Half of the encoder's buckets are for keys after the query; the first buckets of a direction are a distance each.
  const half = isEncoder ? buckets / 2 : buckets
  const focused = isEncoder ? [half + 1, 1] : [1, 2]
  return Array.from({ length: heads }, (_, head) =>
    Array.from({ length: buckets }, (_, bucket) => {
      const kind = head % 4
      if (kind < 2) return bucket === focused[kind] ? FOCUS : 0
      return kind === 2 ? -DECAY * Math.min(bucket % half, FARTHEST) : 0
    }),
  )
}

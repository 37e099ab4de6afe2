import type { ModelConfig } from '../model/config.js'
import { hasSparseLayers } from '../model/config.js'
import type { LogicalAxis } from '../model/parameters.js'

/**
 * The sizes of a mesh's axes, as T5X's: the batch is divided over `data` and `expert`, the experts over `expert`, and
 * heads, hidden layers and the vocabulary over `tensor`. Neighbours in `tensor` are the nearest devices, then those in
 * `expert`.
 */
export interface MeshShape {
  readonly data: number
  readonly expert: number
  readonly tensor: number
}

export const devicesIn = ({ data, expert, tensor }: MeshShape): number => data * expert * tensor

/** How many parts the batch is divided into. */
export const batchShards = ({ data, expert }: MeshShape): number => data * expert

/** `data=2,expert=4`; axes of one device are left out. */
export const formatMesh = (mesh: MeshShape): string =>
  (['data', 'expert', 'tensor'] as const)
    .flatMap(axis => (mesh[axis] > 1 ? [`${axis}=${mesh[axis]}`] : []))
    .join(',') || 'data=1'

/** The axis of a mesh over which a logical axis of a parameter is divided, as T5X's standard rules have it. */
const meshAxisOf: Readonly<Record<LogicalAxis, keyof MeshShape | null>> = {
  vocab: 'tensor',
  mlp: 'tensor',
  heads: 'tensor',
  joined_kv: 'tensor',
  expert_mlp: 'tensor',
  expert: 'expert',
  embed: null,
  mlp_embed: null,
  relpos_buckets: null,
  unmodeled: null,
}

/** The shape of one device's part of an array. An axis that cannot be divided evenly is whole on each device. */
export const localShape = (
  { shape, axes }: { readonly shape: readonly number[]; readonly axes: readonly LogicalAxis[] },
  mesh: MeshShape,
): number[] =>
  shape.map((size, i) => {
    const axis = meshAxisOf[axes[i]]
    return axis !== null && size % mesh[axis] === 0 ? size / mesh[axis] : size
  })

/** Every mesh of so many devices over which a model can be divided, with batches of so many rows. */
export function validMeshes(model: ModelConfig, rows: number, devices: number): MeshShape[] {
  const experts = hasSparseLayers(model) ? model.numExperts : 1
  return divisors(devices).flatMap(tensor =>
    model.numHeads % tensor !== 0 || model.dFf % tensor !== 0
      ? []
      : divisors(devices / tensor).flatMap(expert => {
          const mesh = { data: devices / tensor / expert, expert, tensor }
          return experts % expert === 0 && rows % batchShards(mesh) === 0 ? [mesh] : []
        }),
  )
}

/** The divisors of a whole number, ascending. */
export const divisors = (n: number): number[] => {
  const small: number[] = []
  for (let i = 1; i * i <= n; i++) if (n % i === 0) small.push(i)
  return [...new Set([...small, ...small.map(i => n / i).toReversed()])]
}

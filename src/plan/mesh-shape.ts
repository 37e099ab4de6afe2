import type { ModelConfig } from '../model/config.js'
import { hasSparseLayers } from '../model/config.js'
import type { LogicalAxis } from '../model/parameters.js'
import type { MeshConfig } from '../train/parallel/mesh-config.js'
import { meshAxesOf } from '../train/parallel/rules.js'

/**
 * The sizes of a mesh's axes: see `MeshConfig`. Neighbours in `tensor` are the nearest devices, then those in `expert`.
 */
export type MeshShape = Readonly<MeshConfig>

/** How many parts the batch is divided into. */
export const batchShards = ({ data, expert }: MeshShape): number => data * expert

/** The shape of one device's part of an array. An axis that cannot be divided evenly is whole on each device. */
export const localShape = (
  { shape, axes }: { readonly shape: readonly number[]; readonly axes: readonly LogicalAxis[] },
  mesh: MeshShape,
): number[] =>
  shape.map((size, i) => {
    const [axis] = meshAxesOf[axes[i]]
    return axis !== undefined && size % mesh[axis] === 0 ? size / mesh[axis] : size
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

import { NamedSharding, PartitionSpec } from '../../engine/program/sharding.js'
import type { Mesh } from '../../engine/program/sharding.js'
import { withShardingConstraint } from '../../engine/api/mesh.js'
import type { LogicalAxis } from '../../model/parameters.js'
import type { ActivationAxis, Constrain } from '../../nn/constrain.js'

/** An axis of a run's mesh. */
export type MeshAxisName = 'data' | 'expert' | 'tensor'

/** The axes along which a batch is divided. */
export const batchAxes: readonly MeshAxisName[] = ['data', 'expert']

/** The mesh axes over which logical axes of parameters and activations are divided, as T5X's standard rules have it. */
export const meshAxesOf: Readonly<Record<LogicalAxis | ActivationAxis, readonly MeshAxisName[]>> = {
  // Parameters
  vocab: ['tensor'],
  mlp: ['tensor'],
  heads: ['tensor'],
  joined_kv: ['tensor'],
  expert_mlp: ['tensor'],
  expert: ['expert'],
  embed: [],
  mlp_embed: [],
  relpos_buckets: [],
  unmodeled: [],
  // Activations
  batch: batchAxes,
  group: batchAxes,
  length: [],
  capacity: [],
}

/**
 * How an array is divided over a mesh by the names of its axes. Each mesh axis divides the first axis that may take it.
 * An axis that cannot be divided evenly is whole on each device. Mesh axes of one device are left out.
 */
export function specOf(
  shape: readonly number[],
  axes: readonly (LogicalAxis | ActivationAxis)[],
  mesh: Mesh,
): PartitionSpec {
  const used = new Set<string>()
  return new PartitionSpec(
    ...shape.map((size, i) => {
      const chosen: string[] = []
      let parts = 1
      for (const name of meshAxesOf[axes[i]]) {
        const devices = mesh.axisSize(name)
        if (devices === 1 || used.has(name) || size % (parts * devices) !== 0) continue
        parts *= devices
        used.add(name)
        chosen.push(name)
      }
      return chosen
    }),
  )
}

/** Lays a model's activations out over a mesh. */
export const constrainOn =
  (mesh: Mesh): Constrain =>
  (x, axes) =>
    withShardingConstraint(x, new NamedSharding(mesh, specOf(x.shape, axes, mesh)))

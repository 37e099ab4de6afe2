import { treeMap } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { jit } from '../../engine/api/jit.js'
import type { JitOptions } from '../../engine/api/jit.js'
import { shardMap } from '../../engine/api/shard-map.js'
import type { SpecTree } from '../../engine/api/shard-map.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import type { Mesh, NamedSharding, PartitionSpec } from '../../engine/program/sharding.js'

/** How the functions of a run are compiled for its mesh. */
export interface MeshProgram {
  readonly mesh: Mesh
  /**
   * Whether each device runs a function on its parts of the arrays and exchanges results by collectives. If false, the
   * function is about whole arrays, and the backend's compiler divides it.
   */
  readonly collectives: boolean
}

/** The layouts of a function's arguments and results: trees of them, or of prefixes. */
export interface FunctionLayouts {
  readonly in: readonly Tree<NamedSharding>[]
  readonly out: Tree<NamedSharding>
}

/**
 * `jit` for a function that runs on a mesh: `layoutsOf` says how its arguments and results are laid out, given the
 * layouts of the run. Without a mesh, `jit` itself.
 */
export function jitOnMesh<A extends TensorTree[], R extends TensorTree, L extends MeshProgram>(
  f: (...args: A) => R,
  run: L | null | undefined,
  layoutsOf: (run: L) => FunctionLayouts,
  options: Pick<JitOptions, 'donate' | 'onTrace'> = {},
): (...args: A) => R {
  if (!run) return jit(f, options)
  const layouts = layoutsOf(run)
  if (!run.collectives) return jit(f, { ...options, inShardings: [...layouts.in], outShardings: layouts.out })
  const spread = shardMap(f, run.mesh, { in: layouts.in.map(specsOf), out: specsOf(layouts.out) })
  return jit(Object.defineProperty(spread, 'name', { value: f.name }), options)
}

const specsOf = (tree: Tree<NamedSharding>): SpecTree =>
  treeMap<NamedSharding, PartitionSpec>(layout => layout.spec, tree) as SpecTree

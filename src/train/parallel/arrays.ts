import { flatten, leavesWithPaths, treeFromPaths, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { jit } from '../../engine/api/jit.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { devicePut } from '../../engine/api/mesh.js'
import type { NamedSharding } from '../../engine/program/sharding.js'
import { initParameter } from '../../model/init.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'

/** The layout of each path of a tree of layouts. */
export const layoutsByPath = (layouts: Tree<NamedSharding>): ReadonlyMap<string, NamedSharding> =>
  new Map(leavesWithPaths(layouts))

/**
 * New random parameters, the numbers of `initParameters`. Each device draws its own parts. `layouts`: by path; a
 * parameter without one is drawn on one device.
 */
export function initOnMesh(
  specs: readonly ParameterSpec[],
  key: Tensor,
  layouts: ReadonlyMap<string, NamedSharding>,
): ModelParams {
  return treeFromPaths(
    specs.map((spec, i) => {
      const layout = layouts.get(spec.path) ?? null
      const draw = jit((k: Tensor) => initParameter(spec, i, k), { outShardings: layout })
      return [spec.path, draw(key)]
    }),
  ) as unknown as ModelParams
}

/** A tree of arrays on a mesh: those that have a layout, by path, are moved there. */
export function putOnMesh<T extends TensorTree>(tree: T, layouts: ReadonlyMap<string, NamedSharding>): T {
  const paths = leavesWithPaths<Tensor>(tree).map(([path]) => path)
  const { leaves, def } = flatten<Tensor>(tree)
  return unflatten(
    def,
    leaves.map((x, i) => {
      const layout = layouts.get(paths[i])
      return layout ? devicePut(x, layout) : x
    }),
  ) as T
}

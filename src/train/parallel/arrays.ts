import { sizeOf } from '../../base/host-tensor.js'
import { flatten, leavesWithPaths, treeFromPaths, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { jit } from '../../engine/api/jit.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { devicePut } from '../../engine/api/mesh.js'
import * as np from '../../engine/api/np.js'
import { positionWords } from '../../engine/api/random/keys.js'
import { shardMap } from '../../engine/api/shard-map.js'
import { P, shardShape } from '../../engine/program/sharding.js'
import type { NamedSharding } from '../../engine/program/sharding.js'
import { initParameter, initRows } from '../../model/init.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { ModelParams } from '../../model/types.js'
import type { MeshProgram } from './jit-on-mesh.js'
import type { RunLayouts } from './layouts.js'

/** The layout of each path of a tree of layouts. */
export const layoutsByPath = (layouts: Tree<NamedSharding>): Layouts => new Map(leavesWithPaths(layouts))

/** The layouts of all parameters of a run, by path. */
export const parameterLayouts = ({ params, frozen }: Pick<RunLayouts, 'params' | 'frozen'>): Layouts =>
  new Map([...layoutsByPath(params), ...layoutsByPath(frozen)])

type Layouts = ReadonlyMap<string, NamedSharding>

/**
 * New random parameters, the numbers of `initParameters`. Each device draws its own parts. `layouts`: by path; a
 * parameter without one is drawn on one device.
 */
export function initOnMesh(
  specs: readonly ParameterSpec[],
  key: Tensor,
  layouts: Layouts,
  run: MeshProgram,
): ModelParams {
  return treeFromPaths(
    specs.map((spec, i) => [spec.path, drawOnMesh(spec, i, key, layouts.get(spec.path) ?? null, run)]),
  ) as unknown as ModelParams
}

/** A new random parameter, number `index` of a model, with this layout. */
export const drawOnMesh = (
  spec: ParameterSpec,
  index: number,
  key: Tensor,
  layout: NamedSharding | null,
  { collectives }: MeshProgram,
): Tensor => (collectives ? drawParts : drawDivided)(spec, index, key, layout)

/** A new parameter that the backend's compiler divides. */
const drawDivided = (spec: ParameterSpec, index: number, key: Tensor, layout: NamedSharding | null): Tensor =>
  jit((k: Tensor) => initParameter(spec, index, k), { outShardings: layout })(key)

/** A new parameter of whose first axis each device draws its rows. One that is not divided is drawn as a whole. */
function drawParts(spec: ParameterSpec, index: number, key: Tensor, layout: NamedSharding | null): Tensor {
  const axes = layout?.spec.dims[0] ?? []
  if (!layout || axes.length === 0) return initParameter(spec, index, key)
  const { mesh } = layout
  const shape = shardShape(spec.shape, layout)
  const devices = spec.shape[0] / shape[0]
  const positions = Array.from({ length: devices }, (_, i) => positionWords(i * sizeOf(shape)))
  const draw = shardMap(
    (k: Tensor, position: Tensor) => initRows(spec, shape, np.reshape(position, [2]), index, k),
    mesh,
    { in: [P(), P(axes)], out: layout.spec },
  )
  return jit(draw)(key, np.stack(positions))
}

/** A tree of arrays on a mesh: those that have a layout, by path, are moved there. */
export function putOnMesh<T extends TensorTree>(tree: T, layouts: Layouts): T {
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

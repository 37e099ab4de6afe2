import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { NamedSharding, P, PartitionSpec } from '../../engine/program/sharding.js'
import type { TensorType } from '../../engine/api/eval-shape.js'
import type { LogicalAxis } from '../../model/parameters.js'
import { factoringOf } from '../optimizers/factoring.js'
import type { MeshProgram } from './jit-on-mesh.js'
import { batchAxes, specOf } from './rules.js'

/** The declaration of a parameter, as far as its layout depends on it. */
export interface ParameterLayout {
  readonly path: string
  readonly shape: readonly number[]
  readonly axes: readonly LogicalAxis[]
}

/** How a run's arrays are laid out over its mesh: trees like those of the arrays. */
export interface RunLayouts extends MeshProgram {
  readonly params: Tree<NamedSharding>
  readonly optimizer: Tree<NamedSharding>
  readonly frozen: Tree<NamedSharding>
  /** Rows over all devices that divide the batch. */
  readonly batch: NamedSharding
  /** A copy on each device. */
  readonly everywhere: NamedSharding
}

/**
 * The layouts of a run's arrays, whose types these are. Parameters are divided by the logical names of their axes. The
 * optimizer's state lies as the parameters do: an array of a parameter's shape as the parameter, and Adafactor's row
 * and column means without the axes that they are means over. `minSizeToFactor`: Adafactor's.
 */
export function layoutsOf(
  { mesh, collectives }: MeshProgram,
  declared: readonly ParameterLayout[],
  types: Readonly<Record<'params' | 'optimizer' | 'frozen', Tree<TensorType>>>,
  minSizeToFactor?: number,
): RunLayouts {
  const byPath = new Map(declared.map(d => [d.path, d]))
  const on = (spec: PartitionSpec): NamedSharding => new NamedSharding(mesh, spec)
  const ofParameter = (path: string, { shape }: TensorType): NamedSharding => {
    const known = byPath.get(path)
    return on(known ? specOf(shape, known.axes, mesh) : P())
  }
  const ofState = (path: string, { shape }: TensorType): NamedSharding => {
    const known = parameterOf(path, byPath)
    const axes = known && keptAxes(path, shape, known, minSizeToFactor)
    return on(axes ? specOf(shape, axes, mesh) : P())
  }
  const tree = (of: Tree<TensorType>, layout: (path: string, type: TensorType) => NamedSharding): Tree<NamedSharding> =>
    treeFromPaths(leavesWithPaths(of).map(([path, type]) => [path, layout(path, type)]))
  return {
    mesh,
    collectives,
    params: tree(types.params, ofParameter),
    optimizer: tree(types.optimizer, ofState),
    frozen: tree(types.frozen, ofParameter),
    batch: on(P(batchAxes)),
    everywhere: on(P()),
  }
}

/** The parameter that an array of the optimizer's state belongs to: its path is a part of the array's. */
function parameterOf(path: string, byPath: ReadonlyMap<string, ParameterLayout>): ParameterLayout | undefined {
  const names = path.split('/')
  for (let begin = 0; begin < names.length; begin++)
    for (let end = names.length; end > begin; end--) {
      const known = byPath.get(names.slice(begin, end).join('/'))
      if (known) return known
    }
  return undefined
}

/** The names of the parameter's axes that an array of the optimizer's state has; undefined if it is not known. */
function keptAxes(
  path: string,
  shape: readonly number[],
  known: ParameterLayout,
  minSizeToFactor?: number,
): readonly LogicalAxis[] | undefined {
  if (shape.join() === known.shape.join()) return known.axes
  const { factors } = factoringOf(known, minSizeToFactor)
  const dropped = path.endsWith('/v_row') ? factors?.columns : path.endsWith('/v_col') ? factors?.rows : undefined
  if (dropped === undefined) return undefined
  const kept = known.axes.filter((_, axis) => !dropped.includes(axis))
  return kept.length === shape.length ? kept : undefined
}

import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { sizeOf } from '../base/host-tensor.js'
import { leavesWithPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { shardShape } from '../engine/program/sharding.js'
import type { NamedSharding } from '../engine/program/sharding.js'
import { layoutsByPath } from './parallel/arrays.js'
import type { RunLayouts } from './parallel/layouts.js'

/** The sizes of a run's state, in bytes. */
export interface StateBytes {
  readonly params: number
  readonly optimizer: number
  /** The parameters that are not trained. Default: 0. */
  readonly frozen?: number
  /** The arrays of a teacher. Default: 0. */
  readonly teacher?: number
}

/** What some devices of a mesh have of a run, as shares of the whole. */
export interface ShareOfRun {
  /** The bytes of their parts of the arrays, divided by those of whole arrays. Copies make it more than 1. */
  readonly state: number
  /** Their share in the computation of a batch. */
  readonly batch: number
  /** The processes of this machine, if each of them is one of the devices. Default: 1. */
  readonly processes?: number
  /** Whether this process of several also has all parameters as a whole, to answer texts. Default: false. */
  readonly answers?: boolean
}

/** The share that this many devices of a mesh have of a run with these layouts. */
export function shareOfRun(
  types: Readonly<Record<ArrayKind, Tree<Typed>>>,
  layouts: RunLayouts,
  devices: number,
): ShareOfRun {
  const sum = (bytesOf: (type: Typed, layout: NamedSharding) => number): number =>
    kinds.reduce((total, kind) => {
      const on = layoutsByPath(layouts[kind])
      return leavesWithPaths<Typed>(types[kind]).reduce((n, [path, type]) => n + bytesOf(type, on.get(path)!), total)
    }, 0)
  const whole = sum(typeBytes)
  const part = sum(({ shape, dtype }, layout) => typeBytes({ shape: shardShape(shape, layout), dtype }))
  return { state: (devices * part) / whole, batch: devices / layouts.mesh.size }
}

const kinds = ['params', 'optimizer', 'frozen'] as const
type ArrayKind = (typeof kinds)[number]

interface Typed {
  readonly shape: readonly number[]
  readonly dtype: DType
}

/** The bytes of a run's arrays, which may be given by their types. */
export const stateBytes = (arrays: {
  params: Tree<Typed>
  optimizer: Tree<Typed>
  frozen: Tree<Typed>
}): Required<Omit<StateBytes, 'teacher'>> => ({
  params: treeBytes(arrays.params),
  optimizer: treeBytes(arrays.optimizer),
  frozen: treeBytes(arrays.frozen),
})

const typeBytes = ({ shape, dtype }: Typed): number => sizeOf(shape) * dtypes[dtype].bytes

const treeBytes = (tree: Tree<Typed>): number =>
  leavesWithPaths<Typed>(tree).reduce((sum, [, type]) => sum + typeBytes(type), 0)

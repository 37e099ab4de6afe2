import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { sizeOf } from '../base/host-tensor.js'
import { leavesWithPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'

/** The sizes of a run's state, in bytes. */
export interface StateBytes {
  readonly params: number
  readonly optimizer: number
  /** The parameters that are not trained. Default: 0. */
  readonly frozen?: number
  /** The arrays of a teacher. Default: 0. */
  readonly teacher?: number
}

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

const treeBytes = (tree: Tree<Typed>): number =>
  leavesWithPaths<Typed>(tree).reduce((sum, [, { shape, dtype }]) => sum + sizeOf(shape) * dtypes[dtype].bytes, 0)

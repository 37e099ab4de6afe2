import { treeMap } from '../base/pytree.js'
import * as np from '../engine/api/np.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { globalNorm } from './optimizers/clipping.js'
import { devicePart } from './parallel/device-part.js'
import { jitOnMesh } from './parallel/jit-on-mesh.js'
import type { RunLayouts } from './parallel/layouts.js'

/** The sizes of a run's trained parameters and of their changes, as compiled functions. */
export interface Norms {
  /** The root of the sum of squares of all parameters, shape []. */
  norm(params: TensorTree): Tensor
  /** That of the difference of two trees of parameters. */
  distance(after: TensorTree, before: TensorTree): Tensor
  /** A copy of the parameters, which the next step does not change. */
  copy(params: TensorTree): TensorTree
}

/** These functions for a run's layouts. null: on one device. */
export function normsOn(layouts: RunLayouts | null): Norms {
  const { total } = devicePart(layouts)
  return {
    norm: jitOnMesh(
      function parameter_norm(params: TensorTree) {
        return globalNorm(params, total)
      },
      layouts,
      ({ params, everywhere }) => ({ in: [params], out: everywhere }),
    ),
    distance: jitOnMesh(
      function update_norm(after: TensorTree, before: TensorTree) {
        return globalNorm(treeMap((a: Tensor, b: Tensor) => np.subtract(a, b), after, before) as TensorTree, total)
      },
      layouts,
      ({ params, everywhere }) => ({ in: [params, params], out: everywhere }),
    ),
    copy: jitOnMesh(
      function copy_parameters(params: TensorTree) {
        return treeMap((p: Tensor) => np.add(p, 0), params) as TensorTree
      },
      layouts,
      ({ params }) => ({ in: [params], out: params }),
    ),
  }
}

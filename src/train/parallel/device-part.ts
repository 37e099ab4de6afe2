/** What one device of a mesh does in a step: the collectives in which devices exchange what they computed. */
import { flatten, treeMap, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import * as lax from '../../engine/api/lax.js'
import * as np from '../../engine/api/np.js'
import * as random from '../../engine/api/random.js'
import type { Tensor } from '../../engine/api/tensor.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { NamedSharding, P } from '../../engine/program/sharding.js'
import type { PartitionSpec } from '../../engine/program/sharding.js'
import { addUp } from '../optimizers/clipping.js'
import type { AddUp } from '../optimizers/clipping.js'
import type { MeshProgram } from './jit-on-mesh.js'
import { batchAxes } from './rules.js'
import type { MeshAxisName } from './rules.js'

/** What a device does in a step that several devices make together, each on its own rows and its parts of arrays. */
export interface DevicePart {
  /** The random key of this device. */
  key(key: Tensor): Tensor
  /** From this device's share of the loss to the loss. */
  loss(share: Tensor): Tensor
  /** From the gradients of this device's share of the loss to those of the loss. */
  gradients(ofShare: TensorTree): TensorTree
  /** Adds up numbers of the arrays of a tree like the parameters, of which this device has parts. */
  readonly total: AddUp
}

/** What there is to do without collectives: nothing. */
const wholeRun: DevicePart = { key: key => key, loss: loss => loss, gradients: g => g, total: addUp }

/**
 * A device's part of a step of a run. Without a mesh, or if the backend's compiler divides the step, it is the step.
 */
export const devicePart = (
  run: (MeshProgram & { readonly params: Tree<NamedSharding> }) | null | undefined,
): DevicePart => (run?.collectives ? ofDevices(run.params) : wholeRun)

/**
 * A device's part of a step whose trained parameters have these layouts. A parameter's gradient is summed over all
 * devices that have a copy of it: those along the axes of the batch that do not divide it.
 */
function ofDevices(params: Tree<NamedSharding>): DevicePart {
  const specs = flatten<NamedSharding>(params).leaves.map(layout => layout.spec)
  /** Whether each array is a stack of experts, of which this device has some. All others are copies. */
  const hasExperts = specs.map(spec => spec.axes.includes('expert'))
  return {
    // Each device draws numbers of its own for its rows.
    key: key => random.foldIn(key, lax.axisIndex(batchAxes)),
    loss: share => lax.psum(share, batchAxes),
    gradients(ofShare) {
      const { leaves, def } = flatten<Tensor>(ofShare)
      return unflatten(
        def,
        leaves.map((g, i) => lax.psum(g, axesOfCopies(specs[i]))),
      ) as TensorTree
    },
    total(numbers) {
      const sum = (ofExperts: boolean): Tensor =>
        numbers.filter((_, i) => hasExperts[i] === ofExperts).reduce((a, b) => np.add(a, b), np.zeros([])) // []
      return np.add(sum(false), lax.psum(sum(true), 'expert')) // []
    },
  }
}

/** The axes of the batch along which devices have copies of an array. */
const axesOfCopies = (spec: PartitionSpec): MeshAxisName[] => batchAxes.filter(axis => !spec.axes.includes(axis))

/**
 * The layouts of the gradients of each device's share of the loss, which are not yet summed: an array for parameters
 * [...] is [devices, ...], and each device that has a copy of the parameters has its own row.
 */
export const shareLayouts = (params: Tree<NamedSharding>): Tree<NamedSharding> =>
  treeMap<NamedSharding, NamedSharding>(
    ({ mesh, spec }) => new NamedSharding(mesh, P(axesOfCopies(spec), ...spec.dims)),
    params,
  )

import type { Tensor } from '../engine/api/tensor.js'

/** Names of the axes of activations, by which they are laid out over devices, as T5X's logical axes. */
export type ActivationAxis = 'batch' | 'length' | 'embed' | 'vocab' | 'group' | 'expert' | 'capacity'

/**
 * The array itself, laid out over the devices of a mesh by the names of its axes. A model gets this function if it is
 * trained on several devices.
 */
export type Constrain = (x: Tensor, axes: readonly ActivationAxis[]) => Tensor

import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'

/**
 * Devices that compute one batch together. Each runs the model on its own rows, and perhaps has only some of the
 * experts. Values that belong to the whole batch, such as means over its tokens, take sums over the devices.
 */
export interface DeviceGroup {
  /** The number of devices that share the batch. */
  readonly size: number
  /**
   * The sum over the devices, on each of them. Losses take it of counts only, so that no gradient passes through it.
   */
  total<T extends TensorTree>(x: T): T
  /** The devices among which the experts are divided; null if each device has all of them. */
  readonly experts: ExpertGroup | null
}

/** Devices among which the experts are divided, in order: the first has the first experts. */
export interface ExpertGroup {
  /** The number of the devices. */
  readonly size: number
  /** The place of this device among them, int32, shape []. */
  place(): Tensor
  /**
   * From the slots of all experts with this device's tokens [experts, slots, dModel] to the slots of this device's
   * experts with the tokens of all these devices: [experts / size, size * slots, dModel].
   */
  toExperts(x: Tensor): Tensor
  /** The inverse of `toExperts`. */
  fromExperts(x: Tensor): Tensor
  /** The rows of all these devices, on each of them: from [rows, ...] to [size * rows, ...]. */
  gather(x: Tensor): Tensor
  /** The sum over these devices, of which each keeps its rows: from [size * rows, ...] to [rows, ...]. */
  scatterSum(x: Tensor): Tensor
}

/** One device, which has all rows and all experts. */
export const oneDevice: DeviceGroup = { size: 1, total: x => x, experts: null }

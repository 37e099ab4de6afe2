import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import { oneDevice } from './device-group.js'
import type { DeviceGroup } from './device-group.js'

/**
 * sum(x * weights) / sum(weights), a scalar. x and weights have one shape. 0 if all weights are 0. On several devices,
 * each of which has a part of x, it is this device's share: the sum of the shares is the mean over all of x.
 */
export const weightedMean = (x: Tensor, weights: Tensor, devices: DeviceGroup = oneDevice): Tensor =>
  np.divide(np.sum(np.multiply(x, weights)), np.maximum(devices.total(np.sum(weights)), 1e-9)) // []

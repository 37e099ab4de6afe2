import type { PackedFeatures } from '../data/features.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Batch } from '../model/types.js'

/** Features as arrays. */
export const batchOf = (features: PackedFeatures): Batch =>
  Object.fromEntries(Object.entries(features).map(([name, tensor]) => [name, fromHost(tensor)])) as Batch

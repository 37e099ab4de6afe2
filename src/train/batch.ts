import type { PackedFeatures } from '../data/converters/batch.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Batch } from '../model/types.js'

/** The features of a batch as arrays of the engine. */
export const batchOf = (features: PackedFeatures): Batch =>
  Object.fromEntries(Object.entries(features).map(([name, tensor]) => [name, fromHost(tensor)])) as Batch

import { hostFrom, sizeOf } from '../src/base/host-tensor.js'
import { fromHost } from '../src/engine/api/tensor.js'
import type { Tensor } from '../src/engine/api/tensor.js'

/** A float32 array whose values differ from element to element, the same in each run. */
export const variedArray = (shape: readonly number[], seed: number): Tensor =>
  fromHost(
    hostFrom(
      'float32',
      shape,
      Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.3 + seed)),
    ),
  )

import { allocate } from '../../base/dtypes.js'
import { FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { sizeOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { byteLength, quote } from '../format.js'
import type { TensorInfo } from '../format.js'

/** A tensor of zeros for data that is read from `path`. Throws a FileError if memory does not suffice. */
export function allocateTensor(path: string, { name, dtype, shape }: TensorInfo): HostTensor {
  try {
    return { dtype, shape, data: allocate(dtype, sizeOf(shape)) }
  } catch (error) {
    throw new FileError(
      `${path}: tensor ${quote(name)} has ${formatBytes(byteLength(dtype, shape) ?? Infinity)}, more than this machine can hold in one piece`,
      { cause: error },
    )
  }
}

import { allocate } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import type { HostTensor } from '../../base/tensor.js'

/** A matrix with its axes swapped. */
export function transposeMatrix({ dtype, shape, data }: HostTensor): HostTensor {
  check(shape.length === 2, () => `only a matrix can be transposed, not ${dtype}[${shape}]`)
  const [rows, columns] = shape
  const out = allocate(dtype, data.length)
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]
  }
  return { dtype, shape: [columns, rows], data: out }
}

/** Tensors of one dtype and shape, under a new first axis. */
export function stackTensors(tensors: readonly HostTensor[]): HostTensor {
  const [{ dtype, shape }] = tensors
  const size = tensors[0].data.length
  const data = allocate(dtype, size * tensors.length)
  tensors.forEach((tensor, i) => {
    const same = tensor.dtype === dtype && tensor.shape.length === shape.length && tensor.shape.every((d, k) => d === shape[k])
    check(same, () => `cannot stack ${tensor.dtype}[${tensor.shape}] on ${dtype}[${shape}]`)
    // Both are typed arrays of one dtype: set() cannot be typed for number and bigint at once.
    ;(data as Float32Array).set(tensor.data as Float32Array, i * size)
  })
  return { dtype, shape: [tensors.length, ...shape], data }
}

/** The tensors under the first axis: the inverse of `stackTensors`. Their memory is the tensor's own. */
export function unstackTensor({ dtype, shape, data }: HostTensor): HostTensor[] {
  const [count, ...rest] = shape
  const size = data.length / count
  return Array.from({ length: count }, (_, i) => ({ dtype, shape: rest, data: data.subarray(i * size, (i + 1) * size) }))
}

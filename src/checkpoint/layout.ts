import { allocate } from '../base/dtypes.js'
import { check } from '../base/errors.js'
import type { HostTensor } from '../base/tensor.js'

/** So many rows and columns are swapped at a time: what is read and written then stays in the processor's cache. */
const TILE = 32

/** A matrix, or each of several, with its two axes swapped: [..., rows, columns] to [..., columns, rows]. */
export function transposeMatrix({ dtype, shape, data }: HostTensor): HostTensor {
  check(shape.length >= 2, () => `only a matrix can be transposed, not ${dtype}[${shape}]`)
  const [rows, columns] = shape.slice(-2)
  const out = allocate(dtype, data.length)
  for (let matrix = 0; matrix < data.length; matrix += rows * columns) {
    for (let top = 0; top < rows; top += TILE) {
      const bottom = Math.min(rows, top + TILE)
      for (let left = 0; left < columns; left += TILE) {
        const right = Math.min(columns, left + TILE)
        for (let i = top; i < bottom; i++) {
          for (let j = left; j < right; j++) out[matrix + j * rows + i] = data[matrix + i * columns + j]
        }
      }
    }
  }
  return { dtype, shape: [...shape.slice(0, -2), columns, rows], data: out }
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

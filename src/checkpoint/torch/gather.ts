import { dtypes } from '../../base/dtypes.js'
import { sizeOf, stridesOf, tensorFromBytes } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { StridedTensor } from './state-dict.js'

/** Reads `length` bytes of a storage. */
export type ReadStorage = (position: number, length: number) => Promise<Uint8Array>

/** A block is read in one piece if at least a quarter of it is needed, or if it is small. */
const wantedShare = 1 / 4
const smallBytes = 2 ** 16

/**
 * Reads a strided view of a storage into a tensor in row-major order. A contiguous view is read directly. For other
 * views, blocks of the storage are read and their elements reordered, so that memory is proportional to the tensor and
 * not to its storage.
 */
export async function gather(tensor: StridedTensor, readStorage: ReadStorage): Promise<HostTensor> {
  const { dtype, shape, strides, offset } = tensor
  const width = dtypes[dtype].bytes
  const read = (first: number, count: number): Promise<Uint8Array> => readStorage(first * width, count * width)
  const elements = sizeOf(shape)
  if (isContiguous(shape, strides))
    return tensorFromBytes(dtype, shape, elements === 0 ? new Uint8Array() : await read(offset, elements))

  const result = new Uint8Array(elements * width)
  const outStrides = stridesOf(shape)
  const gatherFrom = async (axis: number, from: number, to: number): Promise<void> => {
    const span = spanOf(shape, strides, axis)
    if (sizeOf(shape.slice(axis)) >= span * wantedShare || span * width <= smallBytes) {
      const block = await read(from, span)
      copyElements(block, result, shape, strides, outStrides, axis, 0, to, width)
    } else {
      for (let i = 0; i < shape[axis]; i++)
        await gatherFrom(axis + 1, from + i * strides[axis], to + i * outStrides[axis])
    }
  }
  await gatherFrom(0, offset, 0)
  return tensorFromBytes(dtype, shape, result)
}

/** Whether a view is row-major without gaps. An axis of length 1 may have any stride. */
export const isContiguous = (shape: readonly number[], strides: readonly number[]): boolean => {
  const wanted = stridesOf(shape)
  return shape.includes(0) || shape.every((d, i) => d === 1 || strides[i] === wanted[i])
}

/** The elements from the first to the last of the axes from `axis` on, gaps included. */
function spanOf(shape: readonly number[], strides: readonly number[], axis: number): number {
  let last = 0
  for (let i = axis; i < shape.length; i++) last += (shape[i] - 1) * strides[i]
  return last + 1
}

function copyElements(
  block: Uint8Array,
  result: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  outStrides: readonly number[],
  axis: number,
  from: number,
  to: number,
  width: number,
): void {
  if (axis === shape.length) {
    for (let b = 0; b < width; b++) result[to * width + b] = block[from * width + b]
    return
  }
  for (let i = 0; i < shape[axis]; i++) {
    copyElements(
      block,
      result,
      shape,
      strides,
      outStrides,
      axis + 1,
      from + i * strides[axis],
      to + i * outStrides[axis],
      width,
    )
  }
}

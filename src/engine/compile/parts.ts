import { allocate } from '../../base/dtypes.js'
import { sizeOf, stridesOf } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { Aval } from '../program/aval.js'

/** The part of a tensor that begins at `start`: a view if it lies in one piece, else a copy. */
export function partAt(tensor: HostTensor, start: readonly number[], shape: readonly number[]): HostTensor {
  const { dtype, data } = tensor
  const rows = contiguousRows(tensor.shape, start, shape)
  if (rows.offsets.length === 1)
    return { dtype, shape, data: data.subarray(rows.offsets[0], rows.offsets[0] + rows.length) }
  const part = allocate(dtype, sizeOf(shape))
  rows.offsets.forEach((offset, i) =>
    (part as Uint8Array).set(data.subarray(offset, offset + rows.length) as Uint8Array, i * rows.length),
  )
  return { dtype, shape, data: part }
}

/** A tensor from parts that cover it. */
export function join(
  { dtype, shape }: Aval,
  parts: readonly { readonly start: readonly number[]; readonly tensor: HostTensor }[],
): HostTensor {
  const whole = { dtype, shape, data: allocate(dtype, sizeOf(shape)) }
  for (const { start, tensor } of parts) copyInto(whole, tensor, start)
  return whole
}

/** Copies a part into a tensor, where it begins at `start`. */
export function copyInto(whole: HostTensor, part: HostTensor, start: readonly number[]): void {
  const { offsets, length } = contiguousRows(whole.shape, start, part.shape)
  offsets.forEach((offset, i) =>
    (whole.data as Uint8Array).set(part.data.subarray(i * length, (i + 1) * length) as Uint8Array, offset),
  )
}

/** Where the rows of a part begin in the whole tensor, in elements: each row lies in one piece in both. */
export function contiguousRows(
  whole: readonly number[],
  start: readonly number[],
  part: readonly number[],
): { offsets: number[]; length: number } {
  const strides = stridesOf(whole)
  // A row spans the last dimensions that are whole, and the one before them.
  let rowDims = whole.length
  while (rowDims > 0 && part[rowDims - 1] === whole[rowDims - 1]) rowDims--
  const outer = Math.max(0, rowDims - 1)
  let offsets = [start.reduce((n, s, i) => n + s * strides[i], 0)]
  for (let dim = 0; dim < outer; dim++)
    offsets = offsets.flatMap(o => Array.from({ length: part[dim] }, (_, i) => o + i * strides[dim]))
  const length = sizeOf(part.slice(outer))
  return length === 0 ? { offsets: [], length } : { offsets, length }
}

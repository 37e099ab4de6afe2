import { allocate } from '../../../base/dtypes.js'
import { reader, sizeOf, stridesOf, writer } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { PrimitiveParams } from '../../program/program.js'

/**
 * Calls `f` with every index of a shape in row-major order, and its flat position. The index array is reused: do not
 * keep it.
 */
export function eachIndex(shape: readonly number[], f: (index: number[], position: number) => void): void {
  const index = shape.map(() => 0)
  const total = sizeOf(shape)
  for (let position = 0; position < total; position++) {
    f(index, position)
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0
  }
}

/** The inner product of two vectors, such as an index and strides. */
export const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0)

/** Copies element `from` of `source` to element `to` of `target`, of the same dtype, bit for bit. */
export function copyElement(source: HostTensor['data'], from: number, target: HostTensor['data'], to: number): void {
  if (source instanceof BigInt64Array && target instanceof BigInt64Array) target[to] = source[from]
  else (target as Float32Array)[to] = (source as Float32Array)[from]
}

/** A tensor whose element at `index` is the operand's element at the flat `position(index)`. */
function take(x: HostTensor, shape: readonly number[], position: (index: readonly number[]) => number): HostTensor {
  const data = allocate(x.dtype, sizeOf(shape))
  eachIndex(shape, (index, i) => copyElement(x.data, position(index), data, i))
  return { dtype: x.dtype, shape, data }
}

export function broadcastInDim(x: HostTensor, { shape, dims }: PrimitiveParams['broadcastInDim']): HostTensor {
  const strides = stridesOf(x.shape).map((s, i) => (x.shape[i] === 1 ? 0 : s))
  return take(x, shape, index =>
    dot(
      strides,
      dims.map(d => index[d]),
    ),
  )
}

export function transpose(x: HostTensor, { perm }: PrimitiveParams['transpose']): HostTensor {
  const strides = stridesOf(x.shape)
  return take(
    x,
    perm.map(p => x.shape[p]),
    index =>
      dot(
        perm.map(p => strides[p]),
        index,
      ),
  )
}

export function slice(x: HostTensor, { start, limit, strides: steps }: PrimitiveParams['slice']): HostTensor {
  const strides = stridesOf(x.shape)
  const shape = start.map((s, i) => Math.ceil((limit[i] - s) / steps[i]))
  return take(x, shape, index => index.reduce((sum, n, i) => sum + (start[i] + n * steps[i]) * strides[i], 0))
}

export function rev(x: HostTensor, { axes }: PrimitiveParams['rev']): HostTensor {
  const strides = stridesOf(x.shape)
  return take(x, x.shape, index =>
    dot(
      strides,
      index.map((n, i) => (axes.includes(i) ? x.shape[i] - 1 - n : n)),
    ),
  )
}

export function concatenate(
  xs: readonly HostTensor[],
  { axis }: PrimitiveParams['concatenate'],
  shape: readonly number[],
): HostTensor {
  const data = allocate(xs[0].dtype, sizeOf(shape))
  const strides = stridesOf(shape)
  let offset = 0
  for (const x of xs) {
    eachIndex(x.shape, (index, i) => copyElement(x.data, i, data, dot(strides, index) + offset * strides[axis]))
    offset += x.shape[axis]
  }
  return { dtype: xs[0].dtype, shape, data }
}

export function pad(
  x: HostTensor,
  value: HostTensor,
  { low, interior }: PrimitiveParams['pad'],
  shape: readonly number[],
): HostTensor {
  const data = allocate(x.dtype, sizeOf(shape))
  for (let i = 0; i < data.length; i++) copyElement(value.data, 0, data, i)
  const strides = stridesOf(shape)
  eachIndex(x.shape, (index, i) => {
    const at = index.map((n, axis) => low[axis] + n * (interior[axis] + 1))
    if (at.every((n, axis) => n >= 0 && n < shape[axis])) copyElement(x.data, i, data, dot(strides, at))
  })
  return { dtype: x.dtype, shape, data }
}

export function iota({ dtype, shape, axis }: PrimitiveParams['iota']): HostTensor {
  const data = allocate(dtype, sizeOf(shape))
  const write = writer(dtype, data)
  eachIndex(shape, (index, i) => write(i, index[axis]))
  return { dtype, shape, data }
}

/** The starts, clamped so that a window of these sizes lies inside the shape. */
const clampStarts = (starts: readonly HostTensor[], sizes: readonly number[], shape: readonly number[]): number[] =>
  starts.map((s, i) => Math.max(0, Math.min(reader(s.dtype, s.data)(0), shape[i] - sizes[i])))

export function dynamicSlice(
  x: HostTensor,
  starts: readonly HostTensor[],
  { sizes }: PrimitiveParams['dynamicSlice'],
): HostTensor {
  const start = clampStarts(starts, sizes, x.shape)
  return slice(x, { start, limit: start.map((s, i) => s + sizes[i]), strides: sizes.map(() => 1) })
}

export function dynamicUpdateSlice(x: HostTensor, update: HostTensor, starts: readonly HostTensor[]): HostTensor {
  const start = clampStarts(starts, update.shape, x.shape)
  const data = x.data.slice()
  const strides = stridesOf(x.shape)
  eachIndex(update.shape, (index, i) => copyElement(update.data, i, data, dot(strides, index) + dot(strides, start)))
  return { dtype: x.dtype, shape: x.shape, data }
}

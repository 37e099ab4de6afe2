import { allocate } from '../../../base/dtypes.js'
import { reader, sizeOf, stridesOf, writer } from '../../../base/tensor.js'
import type { HostTensor } from '../../../base/tensor.js'
import type { DotParams } from '../../program/primitives.js'
import { copyElement, dot, eachIndex } from './structure.js'

/** Folds the elements along `axes` with `f`, in row-major order, in double precision, from `initial`. */
export function reduce(x: HostTensor, axes: readonly number[], initial: number, f: (a: number, b: number) => number): HostTensor {
  const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const shape = kept.map(i => x.shape[i])
  const strides = stridesOf(shape)
  const accumulated = new Float64Array(sizeOf(shape)).fill(initial)
  const read = reader(x.dtype, x.data)
  eachIndex(x.shape, (index, i) => {
    const at = dot(strides, kept.map(k => index[k]))
    accumulated[at] = f(accumulated[at], read(i))
  })
  const data = allocate(x.dtype, accumulated.length)
  const write = writer(x.dtype, data)
  accumulated.forEach((v, i) => write(i, v))
  return { dtype: x.dtype, shape, data }
}

/** The same for int64, exactly. */
export function reduceInt64(x: HostTensor, axes: readonly number[], f: (a: bigint, b: bigint) => bigint): HostTensor {
  const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const shape = kept.map(i => x.shape[i])
  const strides = stridesOf(shape)
  const data = new BigInt64Array(sizeOf(shape))
  const seen = new Uint8Array(data.length)
  const source = x.data as BigInt64Array
  eachIndex(x.shape, (index, i) => {
    const at = dot(strides, kept.map(k => index[k]))
    data[at] = seen[at] ? f(data[at], source[i]) : source[i]
    seen[at] = 1
  })
  return { dtype: x.dtype, shape, data }
}

/** The first position along `axis` that no other beats. NaN beats everything, as in NumPy. */
export function argBest(x: HostTensor, axis: number, beats: (a: number, b: number) => boolean): HostTensor {
  const shape = x.shape.filter((_, i) => i !== axis)
  const stride = stridesOf(x.shape)[axis]
  const strides = stridesOf(x.shape).filter((_, i) => i !== axis)
  const read = reader(x.dtype, x.data)
  const data = new Int32Array(sizeOf(shape))
  eachIndex(shape, (index, i) => {
    const base = dot(strides, index)
    let best = 0
    for (let n = 1; n < x.shape[axis]; n++) {
      const [candidate, current] = [read(base + n * stride), read(base + best * stride)]
      if (beats(candidate, current) || (Number.isNaN(candidate) && !Number.isNaN(current))) best = n
      if (Number.isNaN(current)) break
    }
    data[i] = best
  })
  return { dtype: 'int32', shape, data }
}

export function cumsum(x: HostTensor, axis: number, reverse: boolean): HostTensor {
  const stride = stridesOf(x.shape)[axis]
  const length = x.shape[axis]
  const data = allocate(x.dtype, x.data.length)
  const read = reader(x.dtype, x.data)
  const write = writer(x.dtype, data)
  const others = x.shape.map((d, i) => (i === axis ? 1 : d))
  eachIndex(others, index => {
    const base = dot(stridesOf(x.shape), index)
    let sum = 0
    for (let n = 0; n < length; n++) {
      const at = base + (reverse ? length - 1 - n : n) * stride
      sum += read(at)
      write(at, sum)
    }
  })
  return { dtype: x.dtype, shape: x.shape, data }
}

export function dotGeneral(x: HostTensor, y: HostTensor, { contract: [cx, cy], batch: [bx, by] }: DotParams): HostTensor {
  const free = (t: HostTensor, used: readonly number[]): number[] => t.shape.map((_, i) => i).filter(i => !used.includes(i))
  const fx = free(x, [...bx, ...cx])
  const fy = free(y, [...by, ...cy])
  const [sx, sy] = [stridesOf(x.shape), stridesOf(y.shape)]
  const shape = [...bx.map(d => x.shape[d]), ...fx.map(d => x.shape[d]), ...fy.map(d => y.shape[d])]
  // Strides of both operands for each output axis, then for each contracted axis.
  const outX = [...bx.map(d => sx[d]), ...fx.map(d => sx[d]), ...fy.map(() => 0)]
  const outY = [...by.map(d => sy[d]), ...fx.map(() => 0), ...fy.map(d => sy[d])]
  const contracted: [number, number][] = []
  eachIndex(cx.map(d => x.shape[d]), index => contracted.push([dot(cx.map(d => sx[d]), index), dot(cy.map(d => sy[d]), index)]))
  const [readX, readY] = [reader(x.dtype, x.data), reader(y.dtype, y.data)]
  const data = allocate(x.dtype, sizeOf(shape))
  const write = writer(x.dtype, data)
  eachIndex(shape, (index, i) => {
    const [baseX, baseY] = [dot(outX, index), dot(outY, index)]
    let sum = 0
    for (const [dx, dy] of contracted) sum += readX(baseX + dx) * readY(baseY + dy)
    write(i, sum)
  })
  return { dtype: x.dtype, shape, data }
}

/** Sorts all operands along an axis by the first, ascending, stable, NaN last. */
export function sort(xs: readonly HostTensor[], axis: number): HostTensor[] {
  const [keys] = xs
  const strides = stridesOf(keys.shape)
  const stride = strides[axis]
  const read = reader(keys.dtype, keys.data)
  const results = xs.map(x => ({ ...x, data: x.data.slice() }))
  eachIndex(keys.shape.map((d, i) => (i === axis ? 1 : d)), index => {
    const base = dot(strides, index)
    const order = Array.from({ length: keys.shape[axis] }, (_, n) => base + n * stride)
    order.sort((a, b) => compareNaNLast(read(a), read(b)))
    xs.forEach((x, k) => order.forEach((from, n) => copyElement(x.data, from, results[k].data, base + n * stride)))
  })
  return results
}

function compareNaNLast(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a - b
}

/** The k largest along the last axis, the earlier first among equals, and their positions. */
export function topK(x: HostTensor, k: number): [HostTensor, HostTensor] {
  const n = x.shape[x.shape.length - 1]
  const shape = [...x.shape.slice(0, -1), k]
  const read = reader(x.dtype, x.data)
  const values = allocate(x.dtype, sizeOf(shape))
  const indices = new Int32Array(sizeOf(shape))
  for (let row = 0; row * n < x.data.length; row++) {
    const order = Array.from({ length: n }, (_, i) => i)
    order.sort((a, b) => compareNaNLast(-read(row * n + a), -read(row * n + b)))
    for (let i = 0; i < k; i++) {
      copyElement(x.data, row * n + order[i], values, row * k + i)
      indices[row * k + i] = order[i]
    }
  }
  return [{ dtype: x.dtype, shape, data: values }, { dtype: 'int32', shape, data: indices }]
}

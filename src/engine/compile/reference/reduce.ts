import { allocate, isFloat } from '../../../base/dtypes.js'
import type { DType, TypedArray } from '../../../base/dtypes.js'
import { reader, sizeOf, stridesOf, writer } from '../../../base/host-tensor.js'
import type { HostTensor } from '../../../base/host-tensor.js'
import type { DotParams } from '../../program/primitives.js'
import { integerReader, integerWriter } from './integers.js'
import { copyElement, dot, eachIndex } from './structure.js'

/** The function that a reduction applies to its result so far and the next element, in two kinds of arithmetic. */
export interface Fold {
  /** For floats, in double precision. */
  float: (a: number, b: number) => number
  /** For integers and bool, exact; the result is wrapped when stored. */
  integer: (a: bigint, b: bigint) => bigint
}

/** Folds the elements along `axes` in row-major order, from `initial`. */
export function reduce(x: HostTensor, axes: readonly number[], initial: number | bigint, fold: Fold): HostTensor {
  if (isFloat(x.dtype)) return foldInto(x, axes, Number(initial), fold.float, reader(x.dtype, x.data), writer)
  return foldInto(x, axes, BigInt(initial), fold.integer, integerReader(x.data), integerWriter)
}

function foldInto<T>(
  x: HostTensor,
  axes: readonly number[],
  initial: T,
  f: (a: T, b: T) => T,
  read: (i: number) => T,
  writing: (dtype: DType, data: TypedArray) => (i: number, value: T) => void,
): HostTensor {
  const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const shape = kept.map(i => x.shape[i])
  const strides = stridesOf(shape)
  const accumulated = Array.from({ length: sizeOf(shape) }, () => initial)
  eachIndex(x.shape, (index, i) => {
    const at = dot(
      strides,
      kept.map(k => index[k]),
    )
    accumulated[at] = f(accumulated[at], read(i))
  })
  const data = allocate(x.dtype, accumulated.length)
  const write = writing(x.dtype, data)
  accumulated.forEach((v, i) => write(i, v))
  return { dtype: x.dtype, shape, data }
}

/** The index along `axis` of the first element that no other element beats. NaN beats all others, as in NumPy. */
export function argBest(
  x: HostTensor,
  axis: number,
  beats: (a: number | bigint, b: number | bigint) => boolean,
): HostTensor {
  const shape = x.shape.filter((_, i) => i !== axis)
  const stride = stridesOf(x.shape)[axis]
  const strides = stridesOf(x.shape).filter((_, i) => i !== axis)
  const read = orderReader(x)
  const data = new Int32Array(sizeOf(shape))
  eachIndex(shape, (index, i) => {
    const base = dot(strides, index)
    let best = 0
    for (let n = 1; n < x.shape[axis]; n++) {
      const [candidate, current] = [read(base + n * stride), read(base + best * stride)]
      if (beats(candidate, current) || (isNaN(candidate) && !isNaN(current))) best = n
      if (isNaN(current)) break
    }
    data[i] = best
  })
  return { dtype: 'int32', shape, data }
}

/** Cumulative sums along an axis, from its end if `reverse`. */
export function cumsum(x: HostTensor, axis: number, reverse: boolean): HostTensor {
  const strides = stridesOf(x.shape)
  const length = x.shape[axis]
  const data = allocate(x.dtype, x.data.length)
  // One index for each row along the axis.
  const rowStarts = x.shape.map((d, i) => (i === axis ? 1 : d))
  const run = <T>(
    zero: T,
    plus: (a: T, b: T) => T,
    read: (i: number) => T,
    write: (i: number, value: T) => void,
  ): void =>
    eachIndex(rowStarts, index => {
      const base = dot(strides, index)
      let sum = zero
      for (let n = 0; n < length; n++) {
        const at = base + (reverse ? length - 1 - n : n) * strides[axis]
        sum = plus(sum, read(at))
        write(at, sum)
      }
    })
  if (isFloat(x.dtype)) run(0, (a, b) => a + b, reader(x.dtype, x.data), writer(x.dtype, data))
  else run(0n, (a, b) => a + b, integerReader(x.data), integerWriter(x.dtype, data))
  return { dtype: x.dtype, shape: x.shape, data }
}

/** The sum of products over the contracted axes; output axes: batch, x's free axes, y's free axes. */
export function dotGeneral(
  x: HostTensor,
  y: HostTensor,
  { contract: [cx, cy], batch: [bx, by] }: DotParams,
): HostTensor {
  const free = (t: HostTensor, used: readonly number[]): number[] =>
    t.shape.map((_, i) => i).filter(i => !used.includes(i))
  const fx = free(x, [...bx, ...cx])
  const fy = free(y, [...by, ...cy])
  const [sx, sy] = [stridesOf(x.shape), stridesOf(y.shape)]
  const shape = [...bx.map(d => x.shape[d]), ...fx.map(d => x.shape[d]), ...fy.map(d => y.shape[d])]
  // Strides of both operands for each output axis, then for each contracted axis.
  const outX = [...bx.map(d => sx[d]), ...fx.map(d => sx[d]), ...fy.map(() => 0)]
  const outY = [...by.map(d => sy[d]), ...fx.map(() => 0), ...fy.map(d => sy[d])]
  const contracted: [number, number][] = []
  eachIndex(
    cx.map(d => x.shape[d]),
    index =>
      contracted.push([
        dot(
          cx.map(d => sx[d]),
          index,
        ),
        dot(
          cy.map(d => sy[d]),
          index,
        ),
      ]),
  )
  const data = allocate(x.dtype, sizeOf(shape))
  const run = <T>(
    zero: T,
    plusProduct: (sum: T, a: T, b: T) => T,
    readX: (i: number) => T,
    readY: (i: number) => T,
    write: (i: number, value: T) => void,
  ): void =>
    eachIndex(shape, (index, i) => {
      const [baseX, baseY] = [dot(outX, index), dot(outY, index)]
      write(
        i,
        contracted.reduce((sum, [dx, dy]) => plusProduct(sum, readX(baseX + dx), readY(baseY + dy)), zero),
      )
    })
  if (isFloat(x.dtype))
    run(0, (sum, a, b) => sum + a * b, reader(x.dtype, x.data), reader(y.dtype, y.data), writer(x.dtype, data))
  else run(0n, (sum, a, b) => sum + a * b, integerReader(x.data), integerReader(y.data), integerWriter(x.dtype, data))
  return { dtype: x.dtype, shape, data }
}

/** Sorts by the first operand along an axis, ascending, stable, NaN last; the other operands are permuted alike. */
export function sort(xs: readonly HostTensor[], axis: number): HostTensor[] {
  const [keys] = xs
  const strides = stridesOf(keys.shape)
  const stride = strides[axis]
  const read = orderReader(keys)
  const results = xs.map(x => ({ ...x, data: x.data.slice() }))
  eachIndex(
    keys.shape.map((d, i) => (i === axis ? 1 : d)),
    index => {
      const base = dot(strides, index)
      const order = Array.from({ length: keys.shape[axis] }, (_, n) => base + n * stride)
      order.sort((a, b) => compareNaNLast(read(a), read(b)))
      xs.forEach((x, k) => order.forEach((from, n) => copyElement(x.data, from, results[k].data, base + n * stride)))
    },
  )
  return results
}

type Ordered = number | bigint

/** Reads elements for comparison. int64 stays a bigint, because a double cannot hold all of its digits. */
const orderReader = (x: HostTensor): ((i: number) => Ordered) =>
  x.data instanceof BigInt64Array ? i => x.data[i] : reader(x.dtype, x.data)

const isNaN = (x: Ordered): boolean => x !== x

function compareNaNLast(a: Ordered, b: Ordered): number {
  if (isNaN(a) || isNaN(b)) return Number(isNaN(a)) - Number(isNaN(b))
  return Number(a > b) - Number(a < b)
}

/** The k largest elements along the last axis, and their indices. Equal elements keep their order. */
export function topK(x: HostTensor, k: number): [HostTensor, HostTensor] {
  const n = x.shape[x.shape.length - 1]
  const shape = [...x.shape.slice(0, -1), k]
  const read = orderReader(x)
  const values = allocate(x.dtype, sizeOf(shape))
  const indices = new Int32Array(sizeOf(shape))
  for (let row = 0; row * n < x.data.length; row++) {
    const order = Array.from({ length: n }, (_, i) => i)
    order.sort((a, b) => compareNaNLast(read(row * n + b), read(row * n + a)))
    for (let i = 0; i < k; i++) {
      copyElement(x.data, row * n + order[i], values, row * k + i)
      indices[row * k + i] = order[i]
    }
  }
  return [
    { dtype: x.dtype, shape, data: values },
    { dtype: 'int32', shape, data: indices },
  ]
}

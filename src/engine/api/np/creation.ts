/** New arrays. */
import { checkDType } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check, SwitchyardError } from '../../../base/errors.js'
import { hostFrom, hostTensor } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import { Tensor, fromHost } from '../tensor.js'
import { defaultEngine } from '../engine.js'
import { checkShape, constant, normalizeAxis } from '../values.js'
import type { Shape } from '../values.js'

/** Nested lists of numbers, bigints or booleans. */
export type Nested = number | bigint | boolean | readonly Nested[]

/**
 * An array from nested lists: `array([[1, 2], [3, 4]])`. float32 unless a dtype is given; booleans make a bool array,
 * bigints an int64 array. Throws a SwitchyardError when the lists are ragged or there is no such dtype.
 */
export function array(nested: Nested, dtype?: DType): Tensor {
  const shape: number[] = []
  for (let level: Nested = nested; typeof level === 'object'; level = level[0]) {
    shape.push(level.length)
    if (level.length === 0) break
  }
  const values: (number | bigint | boolean)[] = []
  const visit = (node: Nested, depth: number): void => {
    if (typeof node !== 'object') {
      if (depth !== shape.length) throw new SwitchyardError('the nested lists have different depths')
      values.push(node)
      return
    }
    if (node.length !== shape[depth])
      throw new SwitchyardError(`the nested lists are ragged: expected ${shape[depth]} entries, got ${node.length}`)
    for (const child of node) visit(child, depth + 1)
  }
  visit(nested, 0)
  const type = dtype ?? dtypeOf(values)
  checkDType(type)
  if (type !== 'int64') return fromHost(hostFrom(type, shape, values.map(Number)))
  return fromHost(
    hostTensor(
      'int64',
      shape,
      BigInt64Array.from(values, v => BigInt(typeof v === 'number' ? Math.trunc(v) : v)),
    ),
  )
}

function dtypeOf(values: readonly (number | bigint | boolean)[]): DType {
  if (values.some(v => typeof v === 'bigint')) return 'int64'
  return values.length > 0 && values.every(v => typeof v === 'boolean') ? 'bool' : 'float32'
}

/** An array of one value; its dtype is float32, of a boolean bool, of a bigint int64, unless given. */
export function full(shape: Shape, value: number | bigint | boolean, dtype: DType = dtypeOf([value])): Tensor {
  const lengths = checkShape(shape)
  defaultEngine()
  return new Tensor(ops.broadcastInDim(constant(value, dtype), lengths, []))
}
export const zeros = (shape: Shape, dtype: DType = 'float32'): Tensor => full(shape, 0, dtype)
export const ones = (shape: Shape, dtype: DType = 'float32'): Tensor => full(shape, 1, dtype)
/** Arrays of x's shape, and of its dtype unless given. */
export const fullLike = (x: Tensor, value: number | bigint | boolean, dtype: DType = x.dtype): Tensor =>
  full(x.shape, value, dtype)
export const zerosLike = (x: Tensor, dtype: DType = x.dtype): Tensor => full(x.shape, 0, dtype)
export const onesLike = (x: Tensor, dtype: DType = x.dtype): Tensor => full(x.shape, 1, dtype)

/** start, start + step, ... before stop; start is 0 and step 1 unless given. int32 when all are whole numbers, else float32. */
export function arange(stop: number, dtype?: DType): Tensor
export function arange(start: number, stop: number, step?: number, dtype?: DType): Tensor
export function arange(first: number, second?: number | DType, step = 1, last?: DType): Tensor {
  const [start, stop, given] = typeof second === 'number' ? [first, second, last] : [0, first, second]
  check([start, stop, step].every(Number.isFinite) && step !== 0, () => `arange(${start}, ${stop}, ${step}) has no end`)
  const dtype = given ?? ([start, stop, step].every(Number.isInteger) ? 'int32' : 'float32')
  defaultEngine()
  const steps = ops.iota(dtype, [Math.max(0, Math.ceil((stop - start) / step))], 0)
  const scaled = step === 1 ? steps : ops.mul(steps, step)
  return new Tensor(start === 0 ? scaled : ops.add(scaled, start))
}

/** `n` evenly spaced numbers from start to stop, which is the last one unless `endpoint` is false. */
export function linspace(
  start: number,
  stop: number,
  n = 50,
  { endpoint = true, dtype = 'float32' }: { endpoint?: boolean; dtype?: DType } = {},
): Tensor {
  checkShape([n])
  defaultEngine()
  const t = ops.div(ops.iota(dtype, [n], 0), Math.max(1, endpoint ? n - 1 : n))
  return new Tensor(ops.add(ops.mul(ops.sub(1, t), start), ops.mul(t, stop))) // exact at both ends
}

/** Ones where column - row = k, zeros elsewhere: the identity of n rows, unless `columns` or `k` say otherwise. */
export function eye(n: number, columns = n, { k = 0, dtype = 'float32' }: { k?: number; dtype?: DType } = {}): Tensor {
  checkShape([n, columns])
  defaultEngine()
  const onDiagonal = ops.eq(ops.add(ops.iota('int32', [n, columns], 0), k), ops.iota('int32', [n, columns], 1))
  return new Tensor(ops.convertElementType(onDiagonal, dtype))
}

/** Keeps the elements of matrices (the last two axes) for which `keep` holds of column - row. */
const triangle =
  (keep: 'le' | 'ge') =>
  (x: Tensor, k = 0): Tensor => {
    check(x.ndim >= 2, () => `tril and triu need two axes or more, not ${x}`)
    const [row, column] = [x.ndim - 2, x.ndim - 1].map(axis => ops.iota('int32', x.shape, axis))
    return new Tensor(ops.select(ops[keep](column, ops.add(row, k)), x.value, ops.zerosLike(x.value)))
  }
/** The lower triangles of matrices, zeros above diagonal k. */
export const tril = triangle('le')
/** The upper triangles of matrices, zeros below diagonal k. */
export const triu = triangle('ge')

/** One-hot vectors of length n along a new axis; all zeros for positions outside 0..n-1. */
export function oneHot(
  positions: Tensor,
  n: number,
  { axis = -1, dtype = 'float32' }: { axis?: number; dtype?: DType } = {},
): Tensor {
  checkShape([n])
  const at = normalizeAxis(axis, positions.ndim + 1)
  const shape = positions.shape.toSpliced(at, 0, n)
  const spread = ops.broadcastInDim(
    positions.value,
    shape,
    ops.range(shape.length).filter(i => i !== at),
  )
  return new Tensor(ops.convertElementType(ops.eq(spread, ops.iota(positions.dtype, shape, at)), dtype))
}

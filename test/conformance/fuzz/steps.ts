import { dtypes, isFloat } from '../../../src/base/dtypes.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'
import * as np from '../../../src/engine/api/np.js'
import { Tensor } from '../../../src/engine/api/tensor.js'
import { softmax } from '../../../src/nn/softmax.js'
import { sameShape } from '../../../src/engine/program/aval.js'
import * as ops from '../../../src/engine/program/ops.js'
import type { Value } from '../../../src/engine/program/value.js'
import { everyDType } from '../backend/case.js'
import type { Tolerance } from '../backend/compare.js'
import {
  alongAxis,
  alongFullAxis,
  axisOf,
  given,
  lifted,
  whenFloat,
  whenInteger,
  whenLogical,
  whenNumber,
} from './operation.js'
import type { Context, Operation, Step } from './operation.js'
import { differentiableStructures, everyStructure } from './structures.js'

/** The largest result of a step, unless an input is larger. */
const MAX_SIZE = 300

/** A sum of floats depends on its order, unless the elements are small and few. */
const exactSum = (x: Value, { small }: Context): boolean => !isFloat(x.dtype) || (small && x.size <= MAX_SIZE)
const summed = (f: (x: Value, axis: number, context: Context) => Value): Operation =>
  given(
    (x, c) => x.ndim > 0 && exactSum(x, c),
    (x, c) => f(x, axisOf(x, c.a), c),
  )
/** Products of floats grow: small values are kept small. */
const multiplied = (f: (x: Value, context: Context) => Value): Operation =>
  given(
    (x, c) => !isFloat(x.dtype) || !c.small || c.b % 4 === 0,
    (x, c) => (c.small && isFloat(x.dtype) ? ops.max(ops.min(f(x, c), 4), -4) : f(x, c)),
  )

/** Zero's sign may differ between backends (see primitives.ts), and a quotient would make infinities of it. */
const notZero = (y: Value): Value => (isFloat(y.dtype) ? ops.select(ops.eq(y, 0), 1, y) : y)
const indices = (n: number, from: number): Value => ops.add(ops.iota('int32', [n, 1], 0), from)
const replaced = (shape: readonly number[], axis: number, length: number): number[] =>
  shape.map((d, i) => (i === axis ? length : d))

/** Moves of elements, comparisons and selections: defined to the bit for every dtype, and differentiable or flat. */
const moves: Operation[] = [
  (x, { a }) => {
    const at = a % (x.ndim + 1)
    const shape = [...x.shape.slice(0, at), 2, ...x.shape.slice(at)]
    return ops.broadcastInDim(
      x,
      shape,
      ops.range(x.ndim + 1).filter(i => i !== at),
    )
  },
  x => ops.reshape(x, [x.size]),
  alongAxis((x, axis) => ops.moveAxis(x, axis, 0)),
  alongAxis((x, axis) => ops.rev(x, [axis])),
  alongAxis((x, axis, { b }) =>
    ops.slice(
      x,
      x.shape.map(() => 0),
      x.shape,
      x.shape.map((_, i) => (i === axis ? 1 + (b % 3) : 1)),
    ),
  ),
  alongAxis((x, axis, { b }) => {
    const along = (n: number): number[] => x.shape.map((_, i) => (i === axis ? n : 0))
    return ops.pad(x, ops.full([], 1, x.dtype), along((b % 3) - 1), along(1), along(b % 2))
  }),
  alongAxis((x, axis, { other }) => ops.concatenate([x, other(x)], axis)),
  (x, { other }) => ops.select(ops.lt(x, other(x)), other(x), x),
  (x, { other }) => ops.select(ops.ne(x, x), other(x), x),
  alongFullAxis((x, axis, { a, b }) =>
    ops.gather(x, indices(3, (a % 5) - 2), { axes: [axis], batchDims: 0, mode: b % 2 ? 'clip' : 'fill' }),
  ),
  alongFullAxis((x, axis, { a, b }) => {
    const updates = ops.broadcastInDim(ops.full([], 1, x.dtype), [2, ...x.shape.filter((_, i) => i !== axis)], [])
    return ops.scatter(x, indices(2, (a % 5) - 2), updates, {
      axes: [axis],
      batchDims: 0,
      mode: b % 2 ? 'clip' : 'drop',
    })
  }),
  alongFullAxis((x, axis, { a }) => {
    const starts = x.shape.map((_, i) => ops.full([], i === axis ? (a % 6) - 2 : 0, 'int32'))
    return ops.dynamicSlice(x, starts, replaced(x.shape, axis, Math.ceil(x.shape[axis] / 2)))
  }),
  alongFullAxis((x, axis, { a }) => {
    const starts = x.shape.map((_, i) => ops.full([], i === axis ? (a % 6) - 2 : 0, 'int32'))
    return ops.dynamicUpdateSlice(x, ops.full(replaced(x.shape, axis, 1), 1, x.dtype), starts)
  }),
  alongAxis((x, axis) => ops.sort([x], axis)[0]),
  alongAxis((x, axis, { other }) => ops.sort([other(x), x], axis)[1]),
  given(
    x => x.ndim > 0,
    (x, { a }) => ops.topK(x, a % (x.shape[x.ndim - 1] + 1))[0],
  ),
  (x, { other }) => ops.max(x, other(x)),
  (x, { other }) => ops.min(x, other(x)),
  alongFullAxis((x, axis) => ops.reduceMax(x, [axis])),
  alongFullAxis((x, axis) => ops.reduceMin(x, [axis])),
  whenNumber(x => ops.neg(x)),
  whenNumber(x => ops.abs(x)),
  (x, { other, small }) => (isFloat(x.dtype) && !small ? undefined : ops.add(x, other(x))),
  multiplied((x, { other }) => ops.mul(x, other(x))),
  summed((x, axis) => ops.reduceSum(x, [axis])),
  summed((x, axis, { b }) => (x.dtype === 'bool' ? ops.reduceSum(x, [axis]) : ops.cumsum(x, axis, b % 2 === 1))),
  summed((x, axis, { other }) => {
    const result = ops.dotGeneral(x, other(x), { contract: [[axis], [axis]], batch: [[], []] })
    return isFloat(x.dtype) ? ops.max(ops.min(result, 4), -4) : result
  }),
  given(
    (x, c) => x.ndim > 0 && !x.shape.includes(0) && exactSum(x, c),
    (x, { a, b, other }) =>
      ops.scatterAdd(x, ops.full([x.shape[0], 1], a % 3, 'int32'), other(x), {
        axes: [0],
        batchDims: 0,
        mode: b % 2 ? 'drop' : 'clip',
      }),
  ),
]

/** Steps, conversions and bits, whose derivatives are zero or would divide by zero. */
const jumps: Operation[] = [
  (x, { a }) => ops.convertElementType(x, everyDType[a % everyDType.length]),
  (x, { a }) => ops.convertElementType(x, everyDType[a % everyDType.length]),
  whenNumber(x => ops.sign(x)),
  whenFloat((x, { a }) => [ops.floor, ops.ceil, ops.round, ops.sqrt, ops.isFinite][a % 5](x)),
  whenLogical(x => ops.not(x)),
  whenLogical((x, { a, other }) => [ops.and, ops.or, ops.xor][a % 3](x, other(x))),
  whenInteger((x, { a, other }) =>
    [ops.shiftLeft, ops.shiftRightLogical, ops.shiftRightArithmetic][a % 3](x, other(x)),
  ),
  (x, { a, other }) => [ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge][a % 6](x, other(x)),
  whenNumber((x, { other }) => ops.add(x, other(x))),
  whenNumber((x, { other }) => ops.sub(x, other(x))),
  whenNumber((x, { other }) => ops.mul(x, other(x))),
  whenNumber((x, { other }) => ops.div(x, notZero(other(x)))),
  whenNumber((x, { other }) => ops.rem(x, other(x))),
  whenInteger((x, { a }) => (x.ndim === 0 ? x : ops.reduceProd(x, [axisOf(x, a)]))),
  alongFullAxis((x, axis, { b }) => (b % 2 ? ops.argmax(x, axis) : ops.argmin(x, axis))),
  given(
    x => x.ndim > 0,
    (x, { a }) => ops.topK(x, a % (x.shape[x.ndim - 1] + 1))[1],
  ),
  given(
    x => x.dtype === 'bool' && x.ndim > 0,
    (x, { a, b }) => (b % 2 ? ops.reduceAnd : ops.reduceOr)(x, [axisOf(x, a)]),
  ),
]

/** Functions of np that give the same bits in any order of evaluation. */
const numpy: Operation[] = [
  whenNumber(lifted((x, y) => np.floorDivide(x, new Tensor(notZero(y.value))))),
  whenNumber(lifted((x, y) => np.remainder(x, new Tensor(notZero(y.value))))),
  lifted((x, y) => np.maximum(x, y)),
  lifted((x, y) => np.where(np.less(x, y), x, y)),
  whenNumber(lifted(x => np.clip(x, 0, 3))),
  lifted((x, y) => np.logicalXor(x, y)),
  whenNumber(lifted(x => np.trunc(x))),
  whenNumber(lifted(x => np.round(x))),
  alongFullAxis((x, axis) => np.argsort(new Tensor(x), axis).value),
  alongFullAxis((x, axis) => np.max(new Tensor(x), { axis, keepdims: true }).value),
  alongFullAxis(
    (x, axis, { b }) => np.take(new Tensor(x), new Tensor(ops.reshape(indices(3, (b % 4) - 2), [3])), axis).value,
  ),
  alongAxis((x, axis, { b }) => np.roll(new Tensor(x), (b % 5) - 2, axis).value),
  summed((x, axis) => np.sum(new Tensor(x), { axis }).value),
  given(
    (x, c) => x.ndim === 2 && exactSum(x, c),
    x => np.matmul(new Tensor(x), np.transpose(new Tensor(x))).value,
  ),
  whenNumber(lifted((x, y) => np.add(x, np.astype(y, 'int32')))),
]

/** Operations of a program; `structures` have a body, which is made of the others. */
export interface Table {
  flat: readonly Operation[]
  structures: readonly Operation[]
  /** Operations that all devices of a mesh compute together. Branches lack them. */
  collective?: readonly Operation[]
}

export const differentiable: Table = { flat: moves, structures: differentiableStructures }
export const everyOperation: Table = { flat: [...moves, ...jumps, ...numpy], structures: everyStructure }

/** Composites with derivatives of their own. They are computed in float32, because roundings to float16 add up. */
const normalizers: readonly [f: (x: Value) => Value, tolerance: Tolerance][] = [softmax, np.logsumexp].map(f => [
  x => {
    const wide = ops.convertElementType(x, 'float32')
    return x.ndim === 0 || x.shape.includes(0) ? wide : f(new Tensor(wide)).value
  },
  { ulps: 64, absolute: 1e-6 },
])

/** Functions that backends compute by approximations of their own: they are only applied to results. */
const approximate: readonly [f: (x: Value) => Value, tolerance: Tolerance][] = [
  [ops.exp, { ulps: 4, absolute: 1e-37 }],
  [ops.expm1, { ulps: 8, absolute: 1e-37 }],
  [ops.log, { ulps: 4, absolute: 1e-7 }],
  [ops.log1p, { ulps: 8, absolute: 1e-37 }],
  [ops.tanh, { ulps: 8, absolute: 2e-7 }],
  [ops.logistic, { ulps: 8, absolute: 2e-7 }],
  [ops.erf, { ulps: 8, absolute: 2e-7 }],
  ...normalizers,
]

const MAX_AXES = 4

export interface Built {
  outputs: Value[]
  tolerances: Tolerance[]
}

/** Applies steps to values, traced or concrete. The results are all values that the steps made. */
export function build(
  table: Table,
  inputs: readonly Value[],
  steps: readonly Step[],
  small: boolean,
  last: number | null,
): Built {
  const outputs = apply(table, inputs, steps, small)
  const tolerances = outputs.map((): Tolerance => ({ ulps: 0, eitherZero: true }))
  const end = [...inputs, ...outputs].at(-1)!
  if (last !== null && isFloat(end.dtype)) {
    const functions = table === differentiable ? normalizers : approximate
    const [f, tolerance] = functions[last % functions.length]
    outputs.push(f(end))
    tolerances.push(typeof tolerance === 'string' ? tolerance : { ...tolerance, eitherZero: true })
  }
  return { outputs, tolerances }
}

const alike =
  (x: Value) =>
  (v: Value): boolean =>
    v.dtype === x.dtype && sameShape(v.shape, x.shape)

/** The values that steps make. */
export function apply(table: Table, inputs: readonly Value[], steps: readonly Step[], small: boolean): Value[] {
  const made = [...inputs]
  const { flat, structures, collective = [] } = table
  // Each structure and each collective is twice as likely as a flat operation.
  const operations = [...flat, ...structures, ...structures, ...collective, ...collective]
  const maxSize = Math.max(MAX_SIZE, ...inputs.map(v => v.size))
  for (const step of steps) {
    const x = made[step.operand % made.length]
    const other = (like: Value): Value => {
      const found = made.filter(alike(like))
      return found.length === 0 ? like : found[step.b % found.length]
    }
    const within =
      (innerTable: Table) =>
      (values: readonly Value[]): Value =>
        apply(innerTable, values, step.inner, small).findLast(alike(values[0])) ?? values[0]
    const context: Context = {
      ...step,
      other,
      small,
      inside: within({ flat, structures: [], collective }),
      insideBranch: within({ flat, structures: [] }),
    }
    for (const result of [operations[step.op % operations.length](x, context) ?? []].flat())
      if (result.size <= maxSize && result.ndim <= MAX_AXES) made.push(result)
  }
  return made.slice(inputs.length)
}

/** A tensor as text, for a failure's report. */
export const show = ({ dtype, shape, data }: HostTensor): string =>
  `${dtype}[${shape}] ${dtypes[dtype].kind === 'float' && dtype !== 'float32' ? 'bits ' : ''}${data.slice(0, 50).join(' ')}${data.length > 50 ? ' ...' : ''}`

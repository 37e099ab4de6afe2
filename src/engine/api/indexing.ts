/** NumPy's basic and integer-array indexing, on values: implements `x.get` and `x.at`. */
import { isInteger } from '../../base/dtypes.js'
import { check } from '../../base/errors.js'
import { formatAval, sameShape } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Value } from '../program/value.js'
import { scatterCombine } from './scatter-combine.js'
import type { CombineValues } from './scatter-combine.js'
import { broadcastShapes, constant, normalizeAxis, stretch } from './values.js'

/** A range of positions along an axis, as Python's start:stop:step. */
export class Slice {
  constructor(
    readonly start: number | null,
    readonly stop: number | null,
    readonly step: number,
  ) {}
}

/**
 * Python's start:stop:step. A null `start` or `stop` is left out, as in `:stop` and `start:`. Negative positions count
 * from the end of the axis.
 */
export function slice(start: number | null = null, stop: number | null = null, step = 1): Slice {
  check(
    Number.isInteger(step) && step !== 0,
    () => `the step of a slice must be a whole number other than 0, not ${step}`,
  )
  check(
    [start, stop].every(n => n === null || Number.isInteger(n)),
    () => `slice(${start}, ${stop}) needs whole numbers`,
  )
  return new Slice(start, stop, step)
}

/**
 * An index: a position, `slice(...)`, ':' (the whole axis), '...' (all remaining axes), null (a new axis), or an array
 * of positions of type `A`.
 */
export type IndexOf<A> = number | Slice | ':' | '...' | null | A

/** `length` positions of an axis: first, first + step, ... */
interface Window {
  first: number
  step: number
  length: number
}

/**
 * The index of one axis of the operand: a window or an array of positions. `dropped`: the index was a number, so that
 * the axis is not in the result.
 */
type AxisIndex = { window: Window; dropped: boolean } | { positions: Value }

interface Plan {
  axes: AxisIndex[]
  /** The shape that the position arrays broadcast to; null without position arrays. */
  grid: number[] | null
  /** The result's dimensions in order: an axis of the operand, all axes of the grid, or a new axis of length 1. */
  result: (number | 'grid' | 'new')[]
}

function windowOf({ start, stop, step }: Slice, size: number): Window {
  const clamp = (n: number, low: number, high: number): number => Math.max(low, Math.min(n < 0 ? n + size : n, high))
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1]
  const first = start === null ? (step > 0 ? low : high) : clamp(start, low, high)
  const end = stop === null ? (step > 0 ? high : low) : clamp(stop, low, high)
  return { first, step, length: Math.max(0, Math.ceil((end - first) / step)) }
}

function planIndex(operand: Aval, indices: readonly IndexOf<Value>[]): Plan {
  const { shape } = operand
  const named = indices.filter(i => i !== null && i !== '...').length
  const isAdvanced = (i: IndexOf<Value>): boolean =>
    typeof i === 'number' || (typeof i === 'object' && i !== null && !(i instanceof Slice))
  check(named <= shape.length, () => `${named} indices are too many for ${formatAval(operand)}`)
  check(indices.filter(i => i === '...').length <= 1, "an index may contain '...' only once")
  const axes: AxisIndex[] = []
  const result: Plan['result'] = []
  const positions: Value[] = []
  let gridPlace = -1
  const whole = (): void => {
    result.push(axes.length)
    axes.push({ window: { first: 0, step: 1, length: shape[axes.length] }, dropped: false })
  }
  for (const index of indices.includes('...') ? indices : [...indices, '...' as const]) {
    const size = shape[axes.length]
    if (isAdvanced(index) && gridPlace < 0) gridPlace = result.length
    if (index === null) result.push('new')
    else if (index === '...') for (let n = shape.length - named; n > 0; n--) whole()
    else if (index === ':') whole()
    else if (typeof index === 'number')
      axes.push({
        window: { first: normalizeAxisIndex(index, operand, axes.length), step: 1, length: 1 },
        dropped: true,
      })
    else if (index instanceof Slice) {
      result.push(axes.length)
      axes.push({ window: windowOf(index, size), dropped: false })
    } else {
      check(index.dtype !== 'bool', 'a boolean mask would give a shape that depends on data: use np.where')
      positions.push(index)
      axes.push({ positions: fromTheEnd(index, size) })
    }
  }
  if (positions.length === 0) return { axes, result, grid: null }
  // As in NumPy: the grid replaces the position arrays if they are adjacent indices; otherwise its axes come first.
  const places = indices.flatMap((index, place) => (isAdvanced(index) ? [place] : []))
  const together = places[places.length - 1] - places[0] === places.length - 1
  result.splice(together ? gridPlace : 0, 0, 'grid')
  return { axes, result, grid: broadcastShapes(...positions.map(p => p.shape)) }
}

function normalizeAxisIndex(index: number, operand: Aval, axis: number): number {
  const size = operand.shape[axis]
  check(
    Number.isInteger(index) && index >= -size && index < size,
    () => `index ${index} is out of bounds for axis ${axis} of ${formatAval(operand)}`,
  )
  return normalizeAxis(index, size)
}

/**
 * Positions as int32, negative ones counted from the end of an axis of length `size`. Positions outside -size..size-1
 * stay outside 0..size-1, on the same side. Throws a ShapeError for positions of a dtype that is not an integer.
 */
export function fromTheEnd(positions: Value, size: number): Value {
  const { dtype, shape } = positions
  check(isInteger(dtype), () => `positions must be integers, not ${dtype}: convert them first (np.astype)`)
  const isUnsigned = dtype.startsWith('u')
  const bound = (n: number): Value => ops.full(shape, n, dtype)
  const wrapped = (p: Value): Value => (isUnsigned ? p : ops.select(ops.lt(p, 0), ops.add(p, size), p))
  if (dtype !== 'uint32' && dtype !== 'int64') return wrapped(ops.convertElementType(positions, 'int32'))
  const bounded = ops.min(wrapped(positions), bound(size)) // int32 does not hold all of them
  return ops.convertElementType(isUnsigned ? bounded : ops.max(bounded, bound(-1)), 'int32')
}

const isDropped = (a: AxisIndex): boolean => 'window' in a && a.dropped
const keptAxes = ({ axes }: Plan): number[] =>
  ops.range(axes.length).filter(k => 'window' in axes[k] && !isDropped(axes[k]))
const lengthOf = (a: AxisIndex): number => ('window' in a ? a.window.length : 1)

function resultShape({ axes, grid, result }: Plan): number[] {
  return result.flatMap(r => (r === 'grid' ? grid! : r === 'new' ? [1] : [lengthOf(axes[r])]))
}

/** The permutation from the dimensions [grid, kept axes] to the order of the result. */
function resultOrder(plan: Plan): number[] {
  const gridDims = plan.grid?.length ?? 0
  const kept = keptAxes(plan)
  return plan.result.flatMap(r =>
    r === 'new' ? [] : r === 'grid' ? ops.range(gridDims) : [gridDims + kept.indexOf(r)],
  )
}

/**
 * The window as the parameters of `slice`. An axis with a negative step is sliced in ascending order; `rev` reverses
 * it.
 */
function bounds(
  axes: readonly AxisIndex[],
  shape: readonly number[],
): { start: number[]; limit: number[]; strides: number[]; reversed: number[] } {
  const windows = axes.map((a, k): Window => ('window' in a ? a.window : { first: 0, step: 1, length: shape[k] }))
  const start = windows.map(({ first, step, length }) =>
    length === 0 ? 0 : Math.min(first, first + (length - 1) * step),
  )
  const strides = windows.map(w => Math.abs(w.step))
  const limit = windows.map((w, k) => (w.length === 0 ? 0 : start[k] + (w.length - 1) * strides[k] + 1))
  return { start, limit, strides, reversed: ops.range(axes.length).filter(k => windows[k].step < 0) }
}

/** x reversed along axes. */
const turn = (x: Value, axes: readonly number[]): Value => (axes.length === 0 ? x : ops.rev(x, axes))
const column = (positions: Value): Value => ops.reshape(positions, [...positions.shape, 1])

/** x[indices]. Positions in arrays that are out of bounds are clamped to the first or last position. */
export function getIndexed(x: Value, indices: readonly IndexOf<Value>[]): Value {
  const plan = planIndex(x.aval, indices)
  const { start, limit, strides, reversed } = bounds(plan.axes, x.shape)
  const isWhole = sameShape(limit, x.shape) && start.every(n => n === 0) && strides.every(n => n === 1)
  const window = turn(isWhole ? x : ops.slice(x, start, limit, strides), reversed)
  const present = ops.range(x.ndim).filter(k => !isDropped(plan.axes[k]))
  const y = ops.reshape(
    window,
    present.map(k => window.shape[k]),
  )
  if (plan.grid === null) return ops.reshape(y, resultShape(plan))
  const columns = plan.axes.flatMap(a => ('positions' in a ? [column(stretch(a.positions, plan.grid!))] : []))
  const axes = ops.range(present.length).filter(i => 'positions' in plan.axes[present[i]])
  const gathered = ops.gather(y, ops.concatenate(columns, plan.grid.length), { axes, batchDims: 0, mode: 'clip' })
  return ops.reshape(ops.transpose(gathered, resultOrder(plan)), resultShape(plan))
}

/** How an update changes the elements: it replaces them, is added, or is combined by a function. */
export type UpdateKind = 'set' | 'add' | CombineValues

/**
 * x with the elements x[indices] changed by `update`, which is broadcast. Positions in arrays that are out of bounds
 * are ignored. Where positions repeat, 'set' keeps any one of the updates; all other kinds apply every update.
 */
export function updateIndexed(kind: UpdateKind, x: Value, indices: readonly IndexOf<Value>[], update: Value): Value {
  const plan = planIndex(x.aval, indices)
  const stretched = stretch(update, resultShape(plan))
  const order = resultOrder(plan)
  const ordered = ops.reshape(
    stretched,
    stretched.shape.filter((_, i) => flatResult(plan)[i] !== 'new'),
  )
  const values = ops.transpose(ordered, ops.inversePermutation(order)) // [grid, kept axes]
  if (plan.grid !== null) return updateGrid(kind, x, plan, plan.grid, values)
  if (typeof kind === 'string') return updateWindow(kind, x, plan, values)
  const old = ops.reshape(getIndexed(x, indices), values.shape)
  return updateWindow('set', x, plan, kind(old, values))
}

/** The kind of each dimension of the result. */
const flatResult = ({ result, grid }: Plan): Plan['result'] =>
  result.flatMap((r): Plan['result'] => (r === 'grid' ? grid!.map(() => r) : [r]))

function updateWindow(kind: 'set' | 'add', x: Value, { axes }: Plan, values: Value): Value {
  const { start, limit, strides, reversed } = bounds(axes, x.shape)
  const window = turn(ops.reshape(values, axes.map(lengthOf)), reversed)
  if (window.size === 0) return x
  if (kind === 'set' && strides.every(s => s === 1))
    return ops.dynamicUpdateSlice(
      x,
      window,
      start.map(n => constant(n, 'int32')),
    )
  const widen = (v: Value): Value =>
    ops.pad(
      v,
      constant(0, v.dtype),
      start,
      limit.map((n, k) => x.shape[k] - n),
      strides.map(s => s - 1),
    )
  return kind === 'add'
    ? ops.add(x, widen(window))
    : ops.select(widen(ops.full(window.shape, true, 'bool')), widen(window), x)
}

/**
 * Updates by a scatter: position arrays, and windows that do not cover their whole axis, become one grid of positions.
 */
function updateGrid(kind: UpdateKind, x: Value, plan: Plan, grid: readonly number[], values: Value): Value {
  const isWhole = (a: AxisIndex, k: number): boolean =>
    'window' in a && !a.dropped && a.window.first === 0 && a.window.step === 1 && a.window.length === x.shape[k]
  const kept = keptAxes(plan)
  const cut = kept.filter(k => !isWhole(plan.axes[k], k))
  const points = [...grid, ...cut.map(k => lengthOf(plan.axes[k]))]
  const columns = plan.axes.flatMap((a, k) => {
    if (isWhole(a, k)) return []
    if ('positions' in a)
      return [column(ops.broadcastInDim(stretch(a.positions, grid), points, ops.range(grid.length)))]
    if (a.dropped) return [column(ops.full(points, a.window.first, 'int32'))]
    const steps = ops.iota('int32', points, grid.length + cut.indexOf(k))
    return [column(ops.add(ops.mul(steps, a.window.step), a.window.first))]
  })
  const axes = ops.range(x.ndim).filter(k => !isWhole(plan.axes[k], k))
  const order = [...cut, ...kept.filter(k => !cut.includes(k))].map(k => grid.length + kept.indexOf(k))
  const updates = ops.transpose(values, [...ops.range(grid.length), ...order])
  const indices = ops.concatenate(columns, points.length)
  if (typeof kind !== 'string') return scatterCombine(kind, x, indices, updates, { axes })
  const write = kind === 'set' ? ops.scatter : ops.scatterAdd
  return write(x, indices, updates, { axes, batchDims: 0, mode: 'drop' })
}

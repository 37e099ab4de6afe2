/**
 * What the devices along a named axis compute together, in a function that `shardMap` runs on each of them. Under a
 * `vmap` with an `axisName`, the examples take the place of the devices. `axis` is a name or a list of names: then all
 * devices along these axes take part, numbered with the last axis varying fastest. All have derivatives in both modes.
 */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import { treeMap } from '../../../base/pytree.js'
import { axisNamed } from '../../program/axis-names.js'
import * as ops from '../../program/ops.js'
import type { MeshAxis } from '../../program/sharding.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorTree } from '../tracing.js'
import { operand } from './operands.js'

/** The name of an axis, or of several. */
export type AxisName = string | readonly string[]

export interface TiledOptions {
  /**
   * Whether parts are joined, or split off, along an existing axis. By default each device's part is one element of an
   * axis that the array otherwise lacks.
   */
  tiled?: boolean
}

export interface AllGatherOptions extends TiledOptions {
  /** The axis of the result along which the devices' arrays are put (default 0). */
  axis?: number
}

export interface ScatterOptions extends TiledOptions {
  /** The axis of `x` that is split (default 0). */
  axis?: number
}

const axesOf = (who: string, axis: AxisName): MeshAxis[] =>
  (typeof axis === 'string' ? [axis] : axis).map(name => axisNamed(name, `lax.${who}`))

const sizeAlong = (axes: readonly MeshAxis[]): number => sizeOf(axes.map(a => a.size))

/** The function on each array of a tree. */
const onTree = <T extends TensorTree>(who: string, x: T, f: (x: Value) => Value): T =>
  treeMap((leaf: Tensor) => new Tensor(f(operand(who, 'x', leaf))), x) as T

function dimension(who: string, axis: number, ndim: number): number {
  check(
    Number.isInteger(axis) && axis >= -ndim && axis < ndim,
    () => `lax.${who}: there is no axis ${axis} among ${ndim}`,
  )
  return axis < 0 ? axis + ndim : axis
}

/** The number of devices along an axis. It is known while tracing. */
export const axisSize = (axis: AxisName): number => sizeAlong(axesOf('axisSize', axis))

/** The number of this device along the axis: an int32 scalar, from 0 on. */
export function axisIndex(axis: AxisName): Tensor {
  const [first, ...rest] = axesOf('axisIndex', axis).map(a => [ops.axisIndex(a), a.size] as const)
  return new Tensor(rest.reduce((number, [index, size]) => ops.add(ops.mul(number, size), index), first[0]))
}

/** The sum over all devices along the axis, on each of them, of an array or of each array in a tree. */
export function psum<T extends TensorTree>(x: T, axis: AxisName): T {
  const axes = axesOf('psum', axis)
  return onTree('psum', x, v => ops.psum(v, axes))
}

/** The mean over all devices along the axis: see `psum`. */
export function pmean<T extends TensorTree>(x: T, axis: AxisName): T {
  const axes = axesOf('pmean', axis)
  return onTree('pmean', x, v => ops.div(ops.psum(v, axes), sizeAlong(axes)))
}

/** The maximum over all devices along the axis, on each of them. */
export function pmax<T extends TensorTree>(x: T, axis: AxisName): T {
  const axes = axesOf('pmax', axis)
  return onTree('pmax', x, v => ops.reduceMax(stacked(v, axes, 0), [0]))
}

/** The minimum over all devices along the axis, on each of them. */
export function pmin<T extends TensorTree>(x: T, axis: AxisName): T {
  const axes = axesOf('pmin', axis)
  return onTree('pmin', x, v => ops.reduceMin(stacked(v, axes, 0), [0]))
}

/** The arrays of all devices along a new axis. */
const stacked = (x: Value, axes: readonly MeshAxis[], at: number): Value =>
  joined(ops.reshape(x, x.shape.toSpliced(at, 0, 1)), axes, at)

const joined = (x: Value, axes: readonly MeshAxis[], dim: number): Value =>
  axes.reduceRight((v, a) => ops.allGather(v, a, dim), x)

/**
 * The arrays of all devices along the axis, on each of them: stacked along a new axis, or, if `tiled`, one after the
 * other along an existing one.
 */
export function allGather<T extends TensorTree>(x: T, axis: AxisName, options: AllGatherOptions = {}): T {
  const { axis: at = 0, tiled = false } = readOptions('lax.allGather', options, ['axis', 'tiled'])
  const axes = axesOf('allGather', axis)
  return onTree('allGather', x, v => {
    const dim = dimension('allGather', at, tiled ? v.ndim : v.ndim + 1)
    return tiled ? joined(v, axes, dim) : stacked(v, axes, dim)
  })
}

/**
 * The sum over all devices along the axis, of which each device keeps its part: one element of the axis that is split,
 * which must have one for each device, or, if `tiled`, an equal share of that axis.
 */
export function psumScatter<T extends TensorTree>(x: T, axis: AxisName, options: ScatterOptions = {}): T {
  const { axis: at = 0, tiled = false } = readOptions('lax.psumScatter', options, ['axis', 'tiled'])
  const axes = axesOf('psumScatter', axis)
  return onTree('psumScatter', x, v => {
    const dim = dimension('psumScatter', at, v.ndim)
    if (!tiled) checkOneEach('psumScatter', v, dim, axes)
    const part = axes.reduce((y, a) => ops.reduceScatter(y, a, dim), v)
    return tiled ? part : ops.reshape(part, part.shape.toSpliced(dim, 1))
  })
}

/** `psumScatter`, by the name that it has in XLA. */
export const reduceScatter = psumScatter

function checkOneEach(who: string, x: Value, dim: number, axes: readonly MeshAxis[]): void {
  const n = sizeAlong(axes)
  check(
    x.shape[dim] === n,
    () =>
      `lax.${who}: axis ${dim} of [${x.shape}] must have one element for each of the ${n} devices: ` +
      'for several elements a device, set tiled',
  )
}

/**
 * Each device sends part i of its array to device i. The parts are the elements of `splitAxis`, which must have one for
 * each device, and those received are stacked along a new axis `concatAxis`. If `tiled`, the parts are equal shares of
 * `splitAxis`, joined along the existing `concatAxis`.
 */
export function allToAll<T extends TensorTree>(
  x: T,
  axis: AxisName,
  splitAxis: number,
  concatAxis: number,
  options: TiledOptions = {},
): T {
  const { tiled = false } = readOptions('lax.allToAll', options, ['tiled'])
  const axes = axesOf('allToAll', axis)
  return onTree('allToAll', x, v => {
    const split = dimension('allToAll', splitAxis, v.ndim)
    const concat = dimension('allToAll', concatAxis, v.ndim)
    if (tiled) return exchanged(v, axes, split, concat)
    checkOneEach('allToAll', v, split, axes)
    return exchanged(ops.moveAxis(v, split, concat), axes, concat, concat)
  })
}

/** An all-to-all along several axes is one along each of them, of a dimension that is split by all of them. */
function exchanged(x: Value, axes: readonly MeshAxis[], split: number, concat: number): Value {
  if (axes.length === 1) return ops.allToAll(x, axes[0], split, concat)
  const n = sizeAlong(axes)
  check(
    x.shape[split] % n === 0,
    () => `lax.allToAll: axis ${split} of [${x.shape}] cannot be split evenly over ${n} devices`,
  )
  // Before `concat` an axis of length 1, and before `split` an axis of its devices, for each mesh axis.
  const before = (dim: number): { kind: 'to' | 'from'; number: number; size: number }[] => [
    ...(dim === concat ? axes.map((_, number) => ({ kind: 'from', number, size: 1 }) as const) : []),
    ...(dim === split ? axes.map(({ size }, number) => ({ kind: 'to', number, size }) as const) : []),
  ]
  const places = x.shape.flatMap((size, dim) => [
    ...before(dim),
    { kind: 'rest' as const, number: dim, size: dim === split ? size / n : size },
  ])
  const placeOf = (kind: 'to' | 'from', number: number): number =>
    places.findIndex(p => p.kind === kind && p.number === number)
  const parts = ops.reshape(
    x,
    places.map(p => p.size),
  )
  const received = axes.reduce((y, a, i) => ops.allToAll(y, a, placeOf('to', i), placeOf('from', i)), parts)
  return ops.reshape(
    received,
    x.shape.map((size, dim) => (dim === split ? size / n : size) * (dim === concat ? n : 1)),
  )
}

/**
 * Sends arrays from device to device: for each pair `[from, to]`, device `to` gets the array of device `from`. Devices
 * that receive nothing have zeros.
 */
export function ppermute<T extends TensorTree>(
  x: T,
  axis: string,
  permutation: readonly (readonly [from: number, to: number])[],
): T {
  const [along] = axesOf('ppermute', axis)
  return onTree('ppermute', x, v => ops.ppermute(v, along, permutation))
}

/**
 * Shapes: the same elements in another arrangement. Dtypes stay as they are.
 *
 * - lengths: reshape, ravel, expandDims, squeeze, atleast1d, atleast2d, atleast3d
 * - order of axes: transpose (permuteDims), matrixTranspose, swapaxes, moveaxis, rollaxis
 * - order of elements: flip, fliplr, flipud, rot90, roll
 * - repetition: broadcastTo, broadcastArrays, broadcastShapes, tile, repeat
 * - what is known of an array: shape, ndim, size
 *
 * Negative axes count from the last.
 */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape, normalizeAxes, normalizeAxis, stretch } from '../values.js'
import type { Axes, Shape } from '../values.js'
import { asTensor, broadcast } from './operands.js'
import type { Unary } from './operands.js'

export { broadcastShapes } from '../values.js'

/** The lengths of the axes. */
export const shape = (x: TensorLike): readonly number[] => asTensor(x).shape

/** The number of axes. */
export const ndim = (x: TensorLike): number => asTensor(x).ndim

/** The number of elements. */
export const size = (x: TensorLike): number => asTensor(x).size

/** The elements in row-major order, in another shape of as many elements. One length may be -1: it is worked out. */
export function reshape(x: TensorLike, shape: Shape): Tensor {
  const operand = asTensor(x)
  const given = typeof shape === 'number' ? [shape] : shape
  const known = sizeOf(given.filter(d => d !== -1))
  check(given.filter(d => d === -1).length <= 1, () => `only one length of [${given}] may be -1`)
  check(
    !given.includes(-1) || (known > 0 && operand.size % known === 0),
    () => `cannot reshape ${operand} to [${given}]: ${operand.size} elements do not divide by ${known}`,
  )
  const lengths = checkShape(given.map(d => (d === -1 ? operand.size / known : d)))
  return new Tensor(ops.reshape(operand.value, lengths))
}

/**
 * The elements in row-major order, as a vector. NumPy's `flatten` too: arrays cannot be changed, so none needs a copy.
 */
export const ravel: Unary = (x: TensorLike) => reshape(x, -1)

/** Axis i of the result is axis perm[i] of x; all axes in the opposite order when no permutation is given. */
export const transpose = (x: TensorLike, perm?: readonly number[]): Tensor => {
  const operand = asTensor(x)
  const axes = perm ?? ops.range(operand.ndim).toReversed()
  check(axes.length === operand.ndim, () => `the permutation [${axes}] must name every axis of ${operand}`)
  return new Tensor(ops.transpose(operand.value, normalizeAxes(axes, operand.ndim)))
}

/** Another name of `transpose`, with a permutation. */
export const permuteDims = (x: TensorLike, perm: readonly number[]): Tensor => transpose(x, perm)

/** The last two axes exchanged. */
export const matrixTranspose: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  check(operand.ndim >= 2, () => `matrixTranspose needs two axes or more, not ${operand}`)
  return swapaxes(operand, -2, -1)
}

/** Two axes exchanged. */
export function swapaxes(x: TensorLike, a: number, b: number): Tensor {
  const operand = asTensor(x)
  const [i, j] = [normalizeAxis(a, operand.ndim), normalizeAxis(b, operand.ndim)]
  return transpose(
    operand,
    ops.range(operand.ndim).map(axis => (axis === i ? j : axis === j ? i : axis)),
  )
}

/** Moves axes to new positions; the remaining axes keep their order. */
export function moveaxis(x: TensorLike, from: Axes, to: Axes): Tensor {
  const operand = asTensor(x)
  const [source, target] = [normalizeAxes(from, operand.ndim), normalizeAxes(to, operand.ndim)]
  check(source.length === target.length, () => `moveaxis: [${from}] and [${to}] have different lengths`)
  const others = ops.range(operand.ndim).filter(axis => !source.includes(axis))
  return transpose(
    operand,
    ops.range(operand.ndim).map(place => (target.includes(place) ? source[target.indexOf(place)] : others.shift()!)),
  )
}

/**
 * Moves an axis back until it is before the axis that was at `start` (0 unless given). `moveaxis` is easier to read.
 */
export function rollaxis(x: TensorLike, axis: number, start = 0): Tensor {
  const operand = asTensor(x)
  const n = operand.ndim
  const from = normalizeAxis(axis, n)
  check(Number.isInteger(start) && start >= -n && start <= n, () => `rollaxis: start ${start} is not within ±${n}`)
  const before = start < 0 ? start + n : start
  return moveaxis(operand, from, from < before ? before - 1 : before)
}

/** Inserts axes of length 1 at these positions of the result's shape. */
export function expandDims(x: TensorLike, axis: Axes): Tensor {
  const operand = asTensor(x)
  const ndim = operand.ndim + (typeof axis === 'number' ? 1 : axis.length)
  const added = normalizeAxes(axis, ndim)
  const lengths = [...operand.shape]
  return reshape(
    operand,
    ops.range(ndim).map(i => (added.includes(i) ? 1 : lengths.shift()!)),
  )
}

/** Without axes of length 1: all of them unless given. Throws a ShapeError for another length. */
export function squeeze(x: TensorLike, axis?: Axes): Tensor {
  const operand = asTensor(x)
  const dropped =
    axis === undefined ? ops.range(operand.ndim).filter(i => operand.shape[i] === 1) : normalizeAxes(axis, operand.ndim)
  check(
    dropped.every(i => operand.shape[i] === 1),
    () => `cannot squeeze the axes [${dropped}] of ${operand}: they are not all of length 1`,
  )
  return reshape(
    operand,
    operand.shape.filter((_, i) => !dropped.includes(i)),
  )
}

/** A scalar as [1]; other arrays as they are. */
export const atleast1d: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  return operand.ndim >= 1 ? operand : reshape(operand, [1])
}

/** A scalar as [1, 1], a vector as one row [1, n]; other arrays as they are. */
export const atleast2d: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  return operand.ndim >= 2 ? operand : reshape(operand, [1, operand.size])
}

/** A scalar as [1, 1, 1], a vector as [1, n, 1], a matrix as [m, n, 1]; other arrays as they are. */
export const atleast3d: Unary = (x: TensorLike) => {
  const operand = asTensor(x)
  if (operand.ndim >= 3) return operand
  return reshape(operand, operand.ndim === 2 ? [...operand.shape, 1] : [1, operand.size, 1])
}

/** Stretches an array to a shape, as NumPy does: new axes in front, axes of length 1 repeated. */
export const broadcastTo = (x: TensorLike, shape: Shape): Tensor =>
  new Tensor(stretch(asTensor(x).value, checkShape(shape)))

/** Arrays stretched to the shape that they broadcast to. Each keeps its dtype. */
export const broadcastArrays = (...xs: readonly TensorLike[]): Tensor[] =>
  broadcast(...xs.map(x => asTensor(x).value)).map(v => new Tensor(v))

/** In the opposite order along all axes or some. */
export function flip(x: TensorLike, axis?: Axes): Tensor {
  const { value, ndim } = asTensor(x)
  return new Tensor(ops.rev(value, normalizeAxes(axis, ndim)))
}

/** The columns (axis 1) in the opposite order. */
export const fliplr: Unary = (x: TensorLike) => flip(x, 1)

/** The rows (axis 0) in the opposite order. */
export const flipud: Unary = (x: TensorLike) => flip(x, 0)

/** Turned by k quarter turns in the plane of two axes, from the first towards the second. */
export function rot90(x: TensorLike, options: { k?: number; axes?: readonly [number, number] } = {}): Tensor {
  const { k = 1, axes = [0, 1] } = readOptions('np.rot90', options, ['k', 'axes'])
  const operand = asTensor(x)
  check(Number.isInteger(k), () => `rot90 turns a whole number of times, not ${k}`)
  const [a, b] = normalizeAxes(axes, operand.ndim)
  const turns = ((k % 4) + 4) % 4
  if (turns === 0) return operand
  if (turns === 2) return flip(operand, [a, b])
  return turns === 1 ? swapaxes(flip(operand, b), a, b) : flip(swapaxes(operand, a, b), b)
}

/**
 * Shifts elements along an axis; what leaves at one end comes in at the other. Several axes take a shift each, or one
 * for all. Without an axis the elements are shifted in row-major order.
 */
export function roll(x: TensorLike, shift: number | readonly number[], axis?: Axes): Tensor {
  const operand = asTensor(x)
  if (axis === undefined) {
    check(typeof shift === 'number', 'roll needs an axis for each shift')
    return reshape(roll(ravel(operand), shift, 0), operand.shape)
  }
  const axes = (typeof axis === 'number' ? [axis] : axis).map(a => normalizeAxis(a, operand.ndim))
  const shifts = typeof shift === 'number' ? axes.map(() => shift) : shift
  check(shifts.length === axes.length, () => `roll: the shifts [${shift}] do not go with the axes [${axis}]`)
  return axes.reduce((result, at, i) => rollAxis(result, shifts[i], at), operand)
}

function rollAxis(x: Tensor, shift: number, at: number): Tensor {
  const n = x.shape[at]
  check(Number.isInteger(shift), () => `roll needs a whole number, not ${shift}`)
  const cut = n === 0 ? 0 : ((-shift % n) + n) % n
  if (cut === 0) return x
  const part = (start: number, stop: number) =>
    ops.slice(
      x.value,
      x.shape.map((_, i) => (i === at ? start : 0)),
      x.shape.map((d, i) => (i === at ? stop : d)),
    )
  return new Tensor(ops.concatenate([part(cut, n), part(0, cut)], at))
}

/**
 * The array repeated as a whole, `repetitions[i]` times along axis i. Fewer repetitions than axes are for the last
 * axes.
 */
export function tile(x: TensorLike, repetitions: number | readonly number[]): Tensor {
  const operand = asTensor(x)
  const given = checkShape(repetitions)
  const ndim = Math.max(given.length, operand.ndim)
  const times = [...ops.range(ndim - given.length).map(() => 1), ...given]
  const shape = [...ops.range(ndim - operand.ndim).map(() => 1), ...operand.shape]
  const spread = ops.broadcastInDim(
    operand.value,
    times.flatMap((t, i) => [t, shape[i]]),
    ops.range(operand.ndim, ndim - operand.ndim).map(i => 2 * i + 1),
  )
  return new Tensor(
    ops.reshape(
      spread,
      shape.map((d, i) => d * times[i]),
    ),
  )
}

/** Each element `times` times in a row, along an axis; without an axis, of the flattened array. */
export function repeat(x: TensorLike, times: number, axis?: number): Tensor {
  checkShape([times])
  const operand = axis === undefined ? ravel(x) : asTensor(x)
  const at = normalizeAxis(axis ?? 0, operand.ndim)
  const spread = ops.broadcastInDim(
    operand.value,
    operand.shape.toSpliced(at + 1, 0, times),
    ops.range(operand.ndim).map(i => (i <= at ? i : i + 1)),
  )
  return new Tensor(
    ops.reshape(
      spread,
      operand.shape.map((d, i) => (i === at ? d * times : d)),
    ),
  )
}

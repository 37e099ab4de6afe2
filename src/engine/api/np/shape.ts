/** Shapes: the same elements, arranged anew. */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import { Tensor } from '../tensor.js'
import { checkShape, normalizeAxes, normalizeAxis, stretch } from '../values.js'
import type { Axes, Shape } from '../values.js'
import { commonDtype, lift } from './operands.js'

export { broadcastShapes } from '../values.js'

/** One length may be -1: it is worked out. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const given = typeof shape === 'number' ? [shape] : shape
  const known = sizeOf(given.filter(d => d !== -1))
  check(given.filter(d => d === -1).length <= 1, () => `only one length of [${given}] may be -1`)
  check(
    !given.includes(-1) || (known > 0 && x.size % known === 0),
    () => `cannot reshape ${x} to [${given}]: ${x.size} elements do not divide by ${known}`,
  )
  return new Tensor(ops.reshape(x.value, checkShape(given.map(d => (d === -1 ? x.size / known : d)))))
}

/** All elements along one axis. */
export const ravel = (x: Tensor): Tensor => new Tensor(ops.reshape(x.value, [x.size]))

/** Permutes axes; reverses them when no permutation is given. */
export const transpose = (x: Tensor, perm: readonly number[] = ops.range(x.ndim).toReversed()): Tensor => {
  check(perm.length === x.ndim, () => `the permutation [${perm}] must name every axis of ${x}`)
  return new Tensor(ops.transpose(x.value, normalizeAxes(perm, x.ndim)))
}

export function swapaxes(x: Tensor, a: number, b: number): Tensor {
  const [i, j] = [normalizeAxis(a, x.ndim), normalizeAxis(b, x.ndim)]
  return transpose(
    x,
    ops.range(x.ndim).map(axis => (axis === i ? j : axis === j ? i : axis)),
  )
}

/** Moves axes to new places; the others stay in order. */
export function moveaxis(x: Tensor, from: Axes, to: Axes): Tensor {
  const [source, target] = [normalizeAxes(from, x.ndim), normalizeAxes(to, x.ndim)]
  check(source.length === target.length, () => `moveaxis: [${from}] and [${to}] have different lengths`)
  const others = ops.range(x.ndim).filter(axis => !source.includes(axis))
  return transpose(
    x,
    ops.range(x.ndim).map(place => (target.includes(place) ? source[target.indexOf(place)] : others.shift()!)),
  )
}

/** New axes of length 1, at these places of the result. */
export function expandDims(x: Tensor, axis: Axes): Tensor {
  const ndim = x.ndim + (typeof axis === 'number' ? 1 : axis.length)
  const added = normalizeAxes(axis, ndim)
  const lengths = [...x.shape]
  return new Tensor(
    ops.reshape(
      x.value,
      ops.range(ndim).map(i => (added.includes(i) ? 1 : lengths.shift()!)),
    ),
  )
}

/** Without axes of length 1: all of them unless given. */
export function squeeze(x: Tensor, axis?: Axes): Tensor {
  const dropped = axis === undefined ? ops.range(x.ndim).filter(i => x.shape[i] === 1) : normalizeAxes(axis, x.ndim)
  check(
    dropped.every(i => x.shape[i] === 1),
    () => `cannot squeeze the axes [${dropped}] of ${x}: they are not all of length 1`,
  )
  return new Tensor(
    ops.reshape(
      x.value,
      x.shape.filter((_, i) => !dropped.includes(i)),
    ),
  )
}

/** Stretches an array to a shape, as NumPy does: new axes in front, axes of length 1 repeated. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor => new Tensor(stretch(x.value, checkShape(shape)))

/** Arrays one after the other along an axis that exists; they take a common dtype. */
export function concatenate(xs: readonly Tensor[], axis = 0): Tensor {
  check(xs.length > 0, 'concatenate needs an array or more')
  const dtype = commonDtype(...xs)
  return new Tensor(
    ops.concatenate(
      xs.map(x => lift(x, dtype)),
      normalizeAxis(axis, xs[0].ndim),
    ),
  )
}

/** Arrays of one shape, one after the other along a new axis. */
export function stack(xs: readonly Tensor[], axis = 0): Tensor {
  check(xs.length > 0, 'stack needs an array or more')
  const at = normalizeAxis(axis, xs[0].ndim + 1)
  return concatenate(
    xs.map(x => expandDims(x, at)),
    at,
  )
}

/** Parts along an axis: so many of one length, or cut before each of the given positions. */
export function split(x: Tensor, parts: number | readonly number[], axis = 0): Tensor[] {
  const at = normalizeAxis(axis, x.ndim)
  const n = x.shape[at]
  if (typeof parts === 'number')
    check(
      Number.isInteger(parts) && parts > 0 && n % parts === 0,
      () => `cannot split an axis of length ${n} into ${parts} equal parts`,
    )
  const cuts = typeof parts === 'number' ? ops.range(parts - 1, 1).map(i => (i * n) / parts) : parts
  const ends = [0, ...cuts, n]
  check(
    ends.every((end, i) => Number.isInteger(end) && (i === 0 || ends[i - 1] <= end)),
    () => `the cuts [${cuts}] must rise within 0..${n}`,
  )
  return ops.range(cuts.length + 1).map(
    i =>
      new Tensor(
        ops.slice(
          x.value,
          x.shape.map((_, a) => (a === at ? ends[i] : 0)),
          x.shape.map((d, a) => (a === at ? ends[i + 1] : d)),
        ),
      ),
  )
}

/** Adds `value` before and after, along each axis: one width for all ends, [before, after] for all axes, or a pair for each. */
export function pad(
  x: Tensor,
  widths: number | readonly [number, number] | readonly (readonly [number, number])[],
  value: number | boolean = 0,
): Tensor {
  const isPair = (w: typeof widths): w is readonly [number, number] => typeof w !== 'number' && typeof w[0] === 'number'
  const pairs =
    typeof widths === 'number'
      ? x.shape.map(() => [widths, widths])
      : isPair(widths)
        ? x.shape.map(() => widths)
        : widths
  check(pairs.length === x.ndim, () => `pad needs a pair of widths for each axis of ${x}, got ${pairs.length}`)
  checkShape(pairs.flat())
  return new Tensor(
    ops.pad(
      x.value,
      lift(value, x.dtype),
      pairs.map(p => p[0]),
      pairs.map(p => p[1]),
    ),
  )
}

/** In the opposite order along all axes or some. */
export function flip(x: Tensor, axis?: Axes): Tensor {
  return new Tensor(ops.rev(x.value, normalizeAxes(axis, x.ndim)))
}

/** Shifts elements along an axis; what leaves at one end comes in at the other. */
export function roll(x: Tensor, shift: number, axis: number): Tensor {
  const at = normalizeAxis(axis, x.ndim)
  const n = x.shape[at]
  check(Number.isInteger(shift), () => `roll needs a whole number, not ${shift}`)
  const cut = n === 0 ? 0 : ((-shift % n) + n) % n
  return cut === 0 ? x : concatenate(split(x, [cut], at).toReversed(), at)
}

/** The array side by side with itself, so often along each axis (the last ones when fewer are given). */
export function tile(x: Tensor, repetitions: number | readonly number[]): Tensor {
  const given = checkShape(repetitions)
  const ndim = Math.max(given.length, x.ndim)
  const times = [...ops.range(ndim - given.length).map(() => 1), ...given]
  const shape = [...ops.range(ndim - x.ndim).map(() => 1), ...x.shape]
  const spread = ops.broadcastInDim(
    x.value,
    times.flatMap((t, i) => [t, shape[i]]),
    ops.range(x.ndim, ndim - x.ndim).map(i => 2 * i + 1),
  )
  return new Tensor(
    ops.reshape(
      spread,
      shape.map((d, i) => d * times[i]),
    ),
  )
}

/** Each element `times` times in a row, along an axis. */
export function repeat(x: Tensor, times: number, axis: number): Tensor {
  checkShape([times])
  const at = normalizeAxis(axis, x.ndim)
  const spread = ops.broadcastInDim(
    x.value,
    x.shape.toSpliced(at + 1, 0, times),
    ops.range(x.ndim).map(i => (i <= at ? i : i + 1)),
  )
  return new Tensor(
    ops.reshape(
      spread,
      x.shape.map((d, i) => (i === at ? d * times : d)),
    ),
  )
}

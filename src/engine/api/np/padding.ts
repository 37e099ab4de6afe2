/** Padding: elements added at the ends of axes. */
import { isInteger } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import { readOptions } from '../arguments.js'
import { isScalar } from '../describe.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape } from '../values.js'
import { floorDivide } from './arithmetic.js'
import { arange } from './creation.js'
import { concatenate } from './joining.js'
import { asTensor, lift, sliceAxis } from './operands.js'
import { max, mean, min } from './reductions.js'
import { round } from './rounding.js'
import { broadcastTo, flip } from './shape.js'
import { median } from './statistics.js'

/**
 * How many elements are added: one number for both ends of all axes, [before, after] for all axes, or a pair for each
 * axis.
 */
export type PadWidths = number | readonly [number, number] | readonly (readonly [number, number])[]

/**
 * The added elements:
 *
 * - `constant`, `empty`: a constant; of `empty` NumPy says nothing, and here it is 0.
 * - `edge`: the edge element. `reflect`, `symmetric`: the axis mirrored without or with its edge element. `wrap`: the
 *   axis repeated periodically.
 * - `maximum`, `mean`, `median`, `minimum`: that of the `statLength` elements nearest to the end.
 * - `linear_ramp`: evenly spaced numbers from the edge element to `endValues`.
 */
export type PadMode = 'constant' | 'empty' | RepeatMode | StatMode | 'linear_ramp'
type RepeatMode = 'edge' | 'reflect' | 'symmetric' | 'wrap'
type StatMode = 'maximum' | 'mean' | 'median' | 'minimum'

/** Options of `pad`. */
export interface PadOptions {
  /** 'constant' unless given. */
  mode?: PadMode
  /** The constant of mode 'constant': 0 unless given. */
  value?: TensorLike
  /** How many elements the statistic is of, in the form of the widths: the whole axis unless given. */
  statLength?: PadWidths
  /** The last numbers of ramps, in the form of the widths: 0 unless given. */
  endValues?: PadWidths
}

const repeats: readonly PadMode[] = ['edge', 'reflect', 'symmetric', 'wrap'] satisfies RepeatMode[]
const statistics = { maximum: max, mean, median, minimum: min } as const
const isStat = (mode: PadMode): mode is StatMode => Object.hasOwn(statistics, mode)
const isRepeat = (mode: PadMode): mode is RepeatMode => repeats.includes(mode)
const modes: readonly PadMode[] = [
  'constant',
  'empty',
  'linear_ramp',
  ...repeats,
  'maximum',
  'mean',
  'median',
  'minimum',
]

/**
 * x with elements added before and after it, along each axis: `pad(x, 1)`, `pad(x, [1, 2], { mode: 'edge' })`. The
 * third argument may be the constant itself. Widths may be greater than the axis: reflections and wraps go on. Throws a
 * ShapeError when an empty axis is to be padded with its own elements. NumPy's mode of a function is not there.
 */
export function pad(x: TensorLike, widths: PadWidths, options: PadOptions | number | bigint | boolean = {}): Tensor {
  const operand = asTensor(x)
  const given: PadOptions = isScalar(options)
    ? { value: options }
    : readOptions('np.pad', options, ['mode', 'value', 'statLength', 'endValues'])
  const { mode = 'constant', value = 0, statLength, endValues = 0 } = given
  check(modes.includes(mode), () => `there is no pad mode ${mode}: choose one of ${modes.join(', ')}`)
  const pairs = pairsOf(operand, widths)
  checkShape(pairs.flat())
  if (mode === 'constant' || mode === 'empty') {
    const [low, high] = [pairs.map(p => p[0]), pairs.map(p => p[1])]
    return new Tensor(ops.pad(operand.value, lift(mode === 'empty' ? 0 : value, operand.dtype), low, high))
  }
  const lengths = statLength === undefined ? undefined : pairsOf(operand, statLength)
  if (lengths !== undefined) checkShape(lengths.flat())
  const ends = pairsOf(operand, endValues)
  return pairs.reduce((padded, [before, after], axis) => {
    if (before === 0 && after === 0) return padded
    if (isRepeat(mode)) return padAxis(padded, axis, before, after, mode)
    const sides = isStat(mode)
      ? statSides(padded, axis, mode, lengths?.[axis])
      : rampSides(padded, axis, [before, after], ends[axis])
    const [low, high] = [before, after].map((n, side) => (n === 0 ? [] : [sides[side](n)]))
    return concatenate([...low, padded, ...high], axis)
  }, operand)
}

/** Makes the elements of one side, of this length along the axis. */
type Side = (n: number) => Tensor

/** The statistic of the elements nearest to each end, repeated. */
function statSides(x: Tensor, axis: number, mode: StatMode, lengths?: readonly [number, number]): [Side, Side] {
  const n = x.shape[axis]
  const part = (given: number, isLow: boolean): Tensor => {
    const length = Math.min(given, n)
    check(length > 0, () => `pad: there are no elements along axis ${axis} of ${x} to take the ${mode} of`)
    const low = isLow ? 0 : n - length
    const stat = statistics[mode](sliced(x, axis, low, low + length), { axis, keepdims: true })
    return (isInteger(x.dtype) ? round(stat) : stat).astype(x.dtype)
  }
  const [low, high] = [lengths?.[0] ?? n, lengths?.[1] ?? n]
  return [m => repeated(part(low, true), axis, m), m => repeated(part(high, false), axis, m)]
}

/** Evenly spaced numbers between each edge element and the end value. */
function rampSides(
  x: Tensor,
  axis: number,
  [before, after]: readonly [number, number],
  [first, last]: readonly [number, number],
): [Side, Side] {
  const n = x.shape[axis]
  check(n > 0, () => `pad: the empty axis ${axis} of ${x} has no edge for a ramp to begin at`)
  const ramp = (end: number, at: number, m: number): Tensor => {
    const edge = sliced(x, axis, at, at + 1)
    const along = x.shape.map((_, i) => (i === axis ? m : 1))
    const steps = arange(m, isInteger(x.dtype) ? 'int64' : 'float32').reshape(along)
    const pieces = Math.max(m, 1)
    if (!isInteger(x.dtype)) return edge.sub(end).mul(steps.div(pieces)).add(end).astype(x.dtype)
    // Whole numbers are rounded down, so they are computed as such: edge - end = pieces * quotient + rest.
    const rise = edge.astype('int64').sub(end)
    const quotient = floorDivide(rise, pieces)
    const rest = rise.sub(quotient.mul(pieces))
    return quotient
      .mul(steps)
      .add(floorDivide(rest.mul(steps), pieces))
      .add(end)
      .astype(x.dtype)
  }
  return [() => ramp(first, 0, before), () => flip(ramp(last, n - 1, after), axis)]
}

/** The elements low to high - 1 of an axis. */
const sliced = (x: Tensor, axis: number, low: number, high: number): Tensor =>
  new Tensor(sliceAxis(x.value, axis, low, high))

/** An axis of size 1, n times. */
const repeated = (x: Tensor, axis: number, n: number): Tensor =>
  broadcastTo(
    x,
    x.shape.map((d, i) => (i === axis ? n : d)),
  )

function pairsOf(x: Tensor, widths: PadWidths): (readonly [number, number])[] {
  const isPair = (w: PadWidths): w is readonly [number, number] => typeof w !== 'number' && typeof w[0] === 'number'
  const pairs = x.shape.map((_, i): readonly [number, number] => {
    if (typeof widths === 'number') return [widths, widths]
    return isPair(widths) ? widths : widths[i]
  })
  check(
    typeof widths === 'number' || isPair(widths) || widths.length === x.ndim,
    () => `pad needs a pair of widths for each axis of ${x}, got ${(widths as readonly unknown[]).length}`,
  )
  return pairs
}

/** The position in 0..n-1 of the element that padding puts at position `i`, which may be outside that range. */
function source(i: number, n: number, mode: RepeatMode): number {
  const within = (period: number): number => ((i % period) + period) % period
  switch (mode) {
    case 'edge':
      return Math.max(0, Math.min(n - 1, i))
    case 'wrap':
      return within(n)
    case 'symmetric':
      return Math.min(within(2 * n), 2 * n - 1 - within(2 * n))
    case 'reflect':
      return n === 1 ? 0 : Math.min(within(2 * n - 2), 2 * n - 2 - within(2 * n - 2))
  }
}

/**
 * One axis padded with its own elements. Each run of rising source positions is a slice, each falling run a reversed
 * slice.
 */
function padAxis(x: Tensor, axis: number, before: number, after: number, mode: RepeatMode): Tensor {
  const n = x.shape[axis]
  check(n > 0, () => `pad: the empty axis ${axis} of [${x.shape}] has no elements to repeat (mode ${mode})`)
  const runs: { first: number; step: number; length: number }[] = []
  for (let i = -before; i < n + after; i++) {
    const position = source(i, n, mode)
    const run = runs[runs.length - 1]
    const step = run === undefined ? 0 : position - (run.first + run.step * (run.length - 1))
    if (run !== undefined && Math.abs(step) <= 1 && (run.length === 1 || run.step === step)) {
      run.step = step
      run.length++
    } else runs.push({ first: position, step: 1, length: 1 })
  }
  return concatenate(
    runs.map(({ first, step, length }) => {
      const low = step < 0 ? first - length + 1 : first
      const high = step === 0 ? first + 1 : low + length
      const part = sliced(x, axis, low, high)
      return step < 0 ? flip(part, axis) : step > 0 ? part : repeated(part, axis, length)
    }),
    axis,
  )
}

/** Padding: elements added at the ends of axes. */
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { isScalar } from '../describe.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape } from '../values.js'
import { asTensor, lift } from './operands.js'

/**
 * How many elements are added: one number for both ends of all axes, [before, after] for all axes, or a pair for each
 * axis.
 */
export type PadWidths = number | readonly [number, number] | readonly (readonly [number, number])[]

/**
 * The added elements: a constant, the edge element ('edge'), the axis mirrored without ('reflect') or with
 * ('symmetric') its edge element, or the axis repeated periodically ('wrap').
 */
export type PadMode = 'constant' | 'edge' | 'reflect' | 'symmetric' | 'wrap'

/** Options of `pad`. */
export interface PadOptions {
  /** 'constant' unless given. */
  mode?: PadMode
  /** The constant of mode 'constant': 0 unless given. */
  value?: TensorLike
}

const modes: readonly PadMode[] = ['constant', 'edge', 'reflect', 'symmetric', 'wrap']

/**
 * x with elements added before and after it, along each axis: `pad(x, 1)`, `pad(x, [1, 2], { mode: 'edge' })`. The
 * third argument may be the constant itself. Widths may be greater than the axis: reflections and wraps go on. Throws a
 * ShapeError when an empty axis is to be padded with its own elements. Not there: NumPy's modes linear_ramp, maximum,
 * mean, median, minimum, empty.
 */
export function pad(x: TensorLike, widths: PadWidths, options: PadOptions | number | bigint | boolean = {}): Tensor {
  const operand = asTensor(x)
  const { mode = 'constant', value = 0 } = isScalar(options)
    ? { value: options }
    : readOptions('np.pad', options, ['mode', 'value'])
  check(modes.includes(mode), () => `there is no pad mode ${mode}: choose one of ${modes.join(', ')}`)
  const pairs = pairsOf(operand, widths)
  if (mode === 'constant') {
    const [low, high] = [pairs.map(p => p[0]), pairs.map(p => p[1])]
    return new Tensor(ops.pad(operand.value, lift(value, operand.dtype), low, high))
  }
  return new Tensor(pairs.reduce((v, [before, after], axis) => padAxis(v, axis, before, after, mode), operand.value))
}

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
  checkShape(pairs.flat())
  return pairs
}

/** The position in 0..n-1 of the element that padding puts at position `i`, which may be outside that range. */
function source(i: number, n: number, mode: Exclude<PadMode, 'constant'>): number {
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
function padAxis(x: Value, axis: number, before: number, after: number, mode: Exclude<PadMode, 'constant'>): Value {
  if (before === 0 && after === 0) return x
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
  return ops.concatenate(
    runs.map(({ first, step, length }) => {
      const low = step < 0 ? first - length + 1 : first
      const high = step === 0 ? first + 1 : low + length
      const part = ops.slice(
        x,
        x.shape.map((_, i) => (i === axis ? low : 0)),
        x.shape.map((d, i) => (i === axis ? high : d)),
      )
      if (step < 0) return ops.rev(part, [axis])
      if (step > 0) return part
      return ops.broadcastInDim(
        part,
        part.shape.map((d, i) => (i === axis ? length : d)),
        ops.range(x.ndim),
      )
    }),
    axis,
  )
}

/**
 * Arrays joined and taken apart along an axis.
 *
 * - joining: concatenate (concat), stack, vstack, hstack, dstack, columnStack, append, block, unstack
 * - parts: split, arraySplit, vsplit, hsplit, dsplit
 * - changes of length: insert, remove, resize
 *
 * Joined arrays take their common dtype.
 */
import { check } from '../../../base/errors.js'
import { sizeOf } from '../../../base/host-tensor.js'
import * as ops from '../../program/ops.js'
import { isTracing, traceClosed } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { checkShape, normalizeAxis, stretch } from '../values.js'
import { asTensor, commonDtype, lift } from './operands.js'
import { atleast1d, atleast2d, atleast3d, expandDims, ravel, reshape, squeeze, tile } from './shape.js'

const common = (xs: readonly TensorLike[]): Tensor[] => {
  const dtype = commonDtype(...xs)
  return xs.map(x => new Tensor(lift(x, dtype)))
}

/**
 * Arrays one after the other along an axis that exists (the first unless given); null flattens them first. Throws a
 * ShapeError when they differ in another axis.
 */
export function concatenate(xs: readonly TensorLike[], axis: number | null = 0): Tensor {
  check(xs.length > 0, 'concatenate needs an array or more')
  const operands = common(xs).map(x => (axis === null ? ravel(x) : x))
  return new Tensor(
    ops.concatenate(
      operands.map(x => x.value),
      normalizeAxis(axis ?? 0, operands[0].ndim),
    ),
  )
}

/** Another name of `concatenate`. */
export const concat = concatenate

/** Arrays of one shape, one after the other along a new axis (the first unless given). */
export function stack(xs: readonly TensorLike[], axis = 0): Tensor {
  check(xs.length > 0, 'stack needs an array or more')
  const operands = common(xs)
  const at = normalizeAxis(axis, operands[0].ndim + 1)
  return concatenate(
    operands.map(x => expandDims(x, at)),
    at,
  )
}

const joined = (
  name: string,
  xs: readonly TensorLike[],
  axisOf: (first: Tensor) => number,
  f: (x: Tensor) => Tensor,
): Tensor => {
  check(xs.length > 0, () => `${name} needs an array or more`)
  const operands = common(xs).map(f)
  return concatenate(operands, axisOf(operands[0]))
}

/** Rows below one another: along axis 0, after vectors [n] have become rows [1, n]. */
export const vstack = (xs: readonly TensorLike[]): Tensor => joined('vstack', xs, () => 0, atleast2d)

/** Side by side: vectors along axis 0, other arrays along axis 1. */
export const hstack = (xs: readonly TensorLike[]): Tensor =>
  joined('hstack', xs, first => (first.ndim === 1 ? 0 : 1), atleast1d)

/** Behind one another: along axis 2, after vectors [n] have become [1, n, 1] and matrices [m, n, 1]. */
export const dstack = (xs: readonly TensorLike[]): Tensor => joined('dstack', xs, () => 2, atleast3d)

/** Vectors [n] as the columns of a matrix; matrices side by side. */
export const columnStack = (xs: readonly TensorLike[]): Tensor =>
  joined(
    'columnStack',
    xs,
    () => 1,
    x => (x.ndim < 2 ? reshape(x, [x.size, 1]) : x),
  )

/** `values` appended to x along an axis; without an axis, both are flattened. */
export const append = (x: TensorLike, values: TensorLike, axis: number | null = null): Tensor =>
  concatenate([x, values], axis)

/**
 * Nested lists of arrays as blocks: the innermost lists are joined along the last axis, those around them along the one
 * before.
 */
export function block(blocks: TensorLike): Tensor {
  const depthOf = (x: TensorLike): number => (Array.isArray(x) ? 1 + depthOf((x as readonly TensorLike[])[0] ?? 0) : 0)
  const depth = depthOf(blocks)
  const leaves = [blocks].flat(Infinity as 1) as readonly TensorLike[]
  const ndim = Math.max(depth, ...leaves.map(x => asTensor(x).ndim))
  const join = (x: TensorLike, level: number): Tensor => {
    if (Array.isArray(x))
      return concatenate(
        (x as readonly TensorLike[]).map(y => join(y, level - 1)),
        ndim - level,
      )
    const operand = asTensor(x)
    return reshape(operand, [...ops.range(ndim - operand.ndim).map(() => 1), ...operand.shape])
  }
  return join(blocks, depth)
}

/** The slices between successive `ends` of an axis. Outside traced functions one program computes all of them. */
function parts({ value }: Tensor, ends: readonly number[], at: number): Tensor[] {
  const cut = (x: Value): Value[] =>
    ops.range(ends.length - 1).map(i =>
      ops.slice(
        x,
        x.shape.map((_, axis) => (axis === at ? ends[i] : 0)),
        x.shape.map((d, axis) => (axis === at ? ends[i + 1] : d)),
      ),
    )
  const { evaluator } = value
  const values =
    isTracing() || evaluator === null
      ? cut(value)
      : evaluator.run(
          traceClosed([value.aval], ([x]) => cut(x)),
          [value],
          undefined,
          'split',
        )
  return values.map(v => new Tensor(v))
}

/**
 * Splits x along an axis (default: the first): a number gives that many parts of equal length, a list splits before
 * each of its positions. Throws a ShapeError if the axis does not divide.
 */
export function split(x: TensorLike, sections: number | readonly number[], axis = 0): Tensor[] {
  const operand = asTensor(x)
  const n = operand.shape[normalizeAxis(axis, operand.ndim)]
  if (typeof sections === 'number')
    check(
      Number.isInteger(sections) && sections > 0 && n % sections === 0,
      () => `cannot split an axis of length ${n} into ${sections} equal parts: see arraySplit`,
    )
  return arraySplit(operand, sections, axis)
}

/** As `split`; parts of an axis that does not divide differ by one in length, the longer ones first. */
export function arraySplit(x: TensorLike, sections: number | readonly number[], axis = 0): Tensor[] {
  const operand = asTensor(x)
  const at = normalizeAxis(axis, operand.ndim)
  const n = operand.shape[at]
  if (typeof sections === 'number') {
    check(Number.isInteger(sections) && sections > 0, () => `an axis is split into 1 part or more, not ${sections}`)
    const [each, longer] = [Math.floor(n / sections), n % sections]
    return parts(
      operand,
      ops.range(sections + 1).map(i => i * each + Math.min(i, longer)),
      at,
    )
  }
  const ends = [0, ...sections.map(cut => (cut < 0 ? cut + n : cut)), n]
  check(
    ends.every((end, i) => Number.isInteger(end) && (i === 0 || ends[i - 1] <= end)),
    () => `the cuts [${sections}] must rise within 0..${n}`,
  )
  return parts(operand, ends, at)
}

/** Parts along axis 0: see `split`. */
export const vsplit = (x: TensorLike, sections: number | readonly number[]): Tensor[] => split(x, sections, 0)

/** Parts along axis 1, of a vector along axis 0: see `split`. */
export const hsplit = (x: TensorLike, sections: number | readonly number[]): Tensor[] => {
  const operand = asTensor(x)
  return split(operand, sections, operand.ndim === 1 ? 0 : 1)
}

/** Parts along axis 2: see `split`. */
export const dsplit = (x: TensorLike, sections: number | readonly number[]): Tensor[] => split(x, sections, 2)

/** The arrays along an axis (the first unless given), without it: the inverse of `stack`. */
export function unstack(x: TensorLike, axis = 0): Tensor[] {
  const operand = asTensor(x)
  const at = normalizeAxis(axis, operand.ndim)
  return parts(operand, ops.range(operand.shape[at] + 1), at).map(part => squeeze(part, at))
}

/** Whole positions within 0..limit; negative ones count from `length`. */
const positionsWithin = (name: string, given: number | readonly number[], length: number, limit: number): number[] => {
  const positions = (typeof given === 'number' ? [given] : given).map(p => (p < 0 ? p + length : p))
  check(
    positions.every(p => Number.isInteger(p) && p >= 0 && p <= limit),
    () => `${name}: the positions [${given}] are not all within an axis of length ${length}`,
  )
  return positions
}

/**
 * x without the elements at these positions (numbers) of an axis; of the flattened array when no axis is given. NumPy's
 * delete.
 */
export function remove(x: TensorLike, positions: number | readonly number[], axis?: number): Tensor {
  const operand = axis === undefined ? ravel(x) : asTensor(x)
  const at = normalizeAxis(axis ?? 0, operand.ndim)
  const n = operand.shape[at]
  const gone = new Set(positionsWithin('remove', positions, n, n - 1))
  const cuts = [...gone].sort((a, b) => a - b)
  const pieces = [-1, ...cuts].flatMap((cut, i) => parts(operand, [cut + 1, cuts[i] ?? n], at))
  return concatenate(pieces, at)
}

/**
 * x with a value (broadcast) before each of these positions (numbers) of an axis; of the flattened array when no axis
 * is given. Positions are those of x before anything is inserted.
 */
export function insert(x: TensorLike, positions: number | readonly number[], value: TensorLike, axis?: number): Tensor {
  const operand = axis === undefined ? ravel(x) : asTensor(x)
  const at = normalizeAxis(axis ?? 0, operand.ndim)
  const n = operand.shape[at]
  const places = positionsWithin('insert', positions, n, n)
  const shape = operand.shape.map((d, i) => (i === at ? places.length : d))
  const given = lift(value, operand.dtype)
  // With a single position, a value with one axis less than x is one slice; otherwise its slices are inserted in a row.
  const isSlice = typeof positions === 'number' && given.ndim === operand.ndim - 1
  const slices = isSlice ? ops.reshape(given, given.shape.toSpliced(at, 0, 1)) : given
  const rows = new Tensor(stretch(slices, shape))
  const order = ops.range(places.length).sort((a, b) => places[a] - places[b])
  const cuts = [0, ...order.map(i => places[i]), n]
  const kept = parts(operand, cuts, at)
  const added = parts(rows, ops.range(places.length + 1), at)
  return concatenate(
    kept.flatMap((piece, i) => (i < order.length ? [piece, added[order[i]]] : [piece])),
    at,
  )
}

/** The elements of x, in order and from the start again as often as needed, in another shape. */
export function resize(x: TensorLike, shape: number | readonly number[]): Tensor {
  const lengths = checkShape(shape)
  const flat = ravel(x)
  const total = sizeOf(lengths)
  check(flat.size > 0 || total === 0, () => `resize cannot fill [${lengths}] from an empty array`)
  if (total === 0) return new Tensor(ops.full(lengths, 0, flat.dtype))
  const repeated = tile(flat, Math.ceil(total / flat.size))
  return reshape(parts(repeated, [0, total], 0)[0], lengths)
}

/** StableHLO operations as functions on values, with their results' types worked out. */
import { dtypes } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { sameShape } from '../../../program/aval.js'
import { integer, integers } from './mlir.js'
import type { BlockWriter, Lowered } from './writer.js'

/** An element-wise operation whose result has the operands' type. */
export const elementwise = (b: BlockWriter, operation: string, ...operands: readonly Lowered[]): Lowered =>
  b.op(`stablehlo.${operation}`, operands, operands[0].aval)

export type Direction = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE'

/** A comparison, element by element. */
export const compare = (b: BlockWriter, direction: Direction, x: Lowered, y: Lowered): Lowered =>
  b.op(
    'stablehlo.compare',
    [x, y],
    { dtype: 'bool', shape: x.aval.shape },
    { comparison_direction: `#stablehlo<comparison_direction ${direction}>` },
  )

export const select = (b: BlockWriter, condition: Lowered, onTrue: Lowered, onFalse: Lowered): Lowered =>
  b.op('stablehlo.select', [condition, onTrue, onFalse], onTrue.aval)

/** A constant of another value's type. */
export const like = (b: BlockWriter, x: Lowered, value: number | bigint): Lowered => b.constant(value, x.aval)

/** Converts between numbers. To bool: see `isTrue`. */
export const convert = (b: BlockWriter, x: Lowered, dtype: DType): Lowered =>
  x.aval.dtype === dtype ? x : b.op('stablehlo.convert', [x], { dtype, shape: x.aval.shape })

/** Whether each element is something else than 0. */
export const isTrue = (b: BlockWriter, x: Lowered): Lowered =>
  x.aval.dtype === 'bool' ? x : compare(b, 'NE', x, like(b, x, 0))

/** The same bits as another dtype of the same width. A bool has one bit in StableHLO, not eight. */
export function bitcast(b: BlockWriter, x: Lowered, dtype: DType): Lowered {
  if (x.aval.dtype === dtype) return x
  if (x.aval.dtype === 'bool') return convert(b, x, dtype)
  if (dtype === 'bool') return isTrue(b, x)
  return b.op('stablehlo.bitcast_convert', [x], { dtype, shape: x.aval.shape })
}

export const broadcastInDim = (
  b: BlockWriter,
  x: Lowered,
  shape: readonly number[],
  dims: readonly number[],
): Lowered =>
  sameShape(x.aval.shape, shape)
    ? x
    : b.op('stablehlo.broadcast_in_dim', [x], { dtype: x.aval.dtype, shape }, { broadcast_dimensions: integers(dims) })

export const reshape = (b: BlockWriter, x: Lowered, shape: readonly number[]): Lowered =>
  sameShape(x.aval.shape, shape) ? x : b.op('stablehlo.reshape', [x], { dtype: x.aval.dtype, shape })

export const transpose = (b: BlockWriter, x: Lowered, perm: readonly number[]): Lowered =>
  perm.every((p, i) => p === i)
    ? x
    : b.op(
        'stablehlo.transpose',
        [x],
        { dtype: x.aval.dtype, shape: perm.map(p => x.aval.shape[p]) },
        { permutation: integers(perm) },
      )

/** Each element's index along an axis. */
export const iota = (b: BlockWriter, dtype: DType, shape: readonly number[], axis: number): Lowered =>
  b.op('stablehlo.iota', [], { dtype, shape }, { iota_dimension: integer(axis) })

export const slice = (
  b: BlockWriter,
  x: Lowered,
  start: readonly number[],
  limit: readonly number[],
  strides: readonly number[] = start.map(() => 1),
): Lowered =>
  b.op(
    'stablehlo.slice',
    [x],
    { dtype: x.aval.dtype, shape: start.map((s, i) => Math.ceil((limit[i] - s) / strides[i])) },
    { start_indices: integers(start), limit_indices: integers(limit), strides: integers(strides) },
  )

/** Values between two bounds, for numbers without NaN. */
export const clampTo = (b: BlockWriter, x: Lowered, least: number, greatest: number): Lowered =>
  elementwise(b, 'minimum', elementwise(b, 'maximum', x, like(b, x, least)), like(b, x, greatest))

/** The axes of a shape that are not among these. */
export const otherAxes = (shape: readonly number[], axes: readonly number[]): number[] =>
  shape.map((_, i) => i).filter(i => !axes.includes(i))

/**
 * Reduces several arrays of one shape along axes. `combine` gets two partial results, as scalars, and returns their
 * combination.
 */
export function reduce(
  b: BlockWriter,
  inputs: readonly Lowered[],
  initial: readonly Lowered[],
  axes: readonly number[],
  combine: (b: BlockWriter, x: readonly Lowered[], y: readonly Lowered[]) => readonly Lowered[],
): Lowered[] {
  const n = inputs.length
  const shape = otherAxes(inputs[0].aval.shape, axes).map(i => inputs[0].aval.shape[i])
  const scalars = inputs.map(x => ({ dtype: x.aval.dtype, shape: [] }))
  const body = b.region([...scalars, ...scalars], (inner, values) =>
    combine(inner, values.slice(0, n), values.slice(n)),
  )
  return b.several(
    'stablehlo.reduce',
    [...inputs, ...initial],
    inputs.map(x => ({ dtype: x.aval.dtype, shape })),
    { dimensions: integers(axes) },
    [body],
  )
}

/** Whether elements are NaN; undefined for dtypes that have none. */
export const isNaNOf = (b: BlockWriter, x: Lowered): Lowered | undefined =>
  dtypes[x.aval.dtype].kind === 'float' ? compare(b, 'NE', x, x) : undefined

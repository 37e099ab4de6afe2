/**
 * Truth values, bits, choices and dtypes, element by element.
 *
 * - truth: logicalAnd, logicalOr, logicalXor, logicalNot
 * - bits of integers: bitwiseAnd, bitwiseOr, bitwiseXor, bitwiseNot (invert), leftShift, rightShift, bitwiseCount
 * - choices: where, select, choose
 * - dtypes: astype, nanToNum
 */
import { dtypes, isFloat, isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { broadcastShapes, constant, stretch } from '../values.js'
import { asIndices, asTensor, binary, broadcast, commonDtype, lift, truth, unary } from './operands.js'
import type { Binary, Unary } from './operands.js'

const logical =
  (f: (x: Value, y: Value) => Value): Binary =>
  (x: TensorLike, y: TensorLike) => {
    const [a, b] = broadcast(truth(x), truth(y))
    return new Tensor(f(a, b))
  }

/** Whether both are true. Numbers other than 0, NaN too, are true. */
export const logicalAnd = logical(ops.and)

/** Whether one or both are true. Numbers other than 0, NaN too, are true. */
export const logicalOr = logical(ops.or)

/** Whether just one is true. Numbers other than 0, NaN too, are true. */
export const logicalXor = logical(ops.xor)

/** Whether x is false, or 0. */
export const logicalNot: Unary = (x: TensorLike) => new Tensor(ops.not(truth(x)))

/** The bits that both have. For integers and bool. */
export const bitwiseAnd = binary(ops.and)

/** The bits that one or both have. For integers and bool. */
export const bitwiseOr = binary(ops.or)

/** The bits that just one has. For integers and bool. */
export const bitwiseXor = binary(ops.xor)

/** Every bit flipped: -x - 1 for signed integers, logical not for bool. */
export const bitwiseNot = unary(ops.not)

/** Another name of `bitwiseNot`. */
export const invert = bitwiseNot

/**
 * x with its bits moved up by y places: x 2^y, without the bits that leave. y is 0 or more and below the dtype's width.
 */
export const leftShift = binary(ops.shiftLeft)

/**
 * x with its bits moved down by y places: floor(x / 2^y), for negative x too. y is 0 or more and below the dtype's
 * width.
 */
export const rightShift = binary((x, y) =>
  x.dtype.startsWith('u') ? ops.shiftRightLogical(x, y) : ops.shiftRightArithmetic(x, y),
)

/** How many bits of |x| are 1, as uint8. For integers. */
export const bitwiseCount: Unary = (x: TensorLike) => {
  const { value } = asTensor(x)
  check(isInteger(value.dtype), () => `bitwiseCount is defined for integers, not for ${value.dtype}`)
  const size = value.dtype.startsWith('u') ? value : ops.abs(value)
  const one = ops.full(value.shape, 1, value.dtype)
  const count = ops
    .range(8 * dtypes[value.dtype].bytes)
    .map(bit => ops.and(ops.shiftRightLogical(size, ops.full(value.shape, bit, value.dtype)), one))
    .reduce((a, b) => ops.add(a, b))
  return new Tensor(ops.convertElementType(count, 'uint8'))
}

/**
 * condition ? x : y, element by element; the three broadcast. A number as the condition is true unless it is 0. Both
 * branches are computed, and so are their gradients: a NaN in the gradient of the branch not taken stays one.
 */
export function where(condition: TensorLike, x: TensorLike, y: TensorLike): Tensor {
  const dtype = commonDtype(x, y)
  const chosen = truth(condition)
  const [a, b] = [lift(x, dtype), lift(y, dtype)]
  const shape = broadcastShapes(chosen.shape, a.shape, b.shape)
  return new Tensor(ops.select(stretch(chosen, shape), stretch(a, shape), stretch(b, shape)))
}

/**
 * For each element the choice of the first condition that is true there, `otherwise` (0) where none is. All broadcast.
 */
export function select(
  conditions: readonly TensorLike[],
  choices: readonly TensorLike[],
  otherwise: TensorLike = 0,
): Tensor {
  check(
    conditions.length === choices.length && conditions.length > 0,
    () => `select needs a choice for each condition: got ${conditions.length} conditions and ${choices.length} choices`,
  )
  const dtype = commonDtype(...choices, otherwise)
  let result = new Tensor(lift(otherwise, dtype))
  for (const i of ops.range(choices.length).toReversed()) {
    result = where(conditions[i], new Tensor(lift(choices[i], dtype)), result)
  }
  return result
}

/** choices[positions], element by element: all broadcast. Positions (integers) out of bounds are moved to the edge. */
export function choose(positions: TensorLike, choices: readonly TensorLike[]): Tensor {
  check(choices.length > 0, 'choose needs a choice or more')
  const index = asIndices(positions, 'the positions of choose').value
  const dtype = commonDtype(...choices)
  let result = new Tensor(lift(choices[0], dtype))
  for (const i of ops.range(choices.length - 1, 1)) {
    const isHere = new Tensor(ops.ge(index, stretch(constant(i, index.dtype), index.shape)))
    result = where(isHere, new Tensor(lift(choices[i], dtype)), result)
  }
  return new Tensor(stretch(result.value, broadcastShapes(index.shape, result.shape)))
}

/**
 * x converted to a dtype. Floats to integers: rounded towards 0, clamped to the dtype's range, NaN becomes 0 (as in
 * XLA; NumPy leaves it undefined). Integers to narrower ones: the low bits are kept. To bool: everything but 0 becomes
 * true, NaN too.
 */
export const astype = (x: TensorLike, dtype: DType): Tensor =>
  new Tensor(ops.convertElementType(asTensor(x).value, dtype))

/** Replacements in `nanToNum`. */
export interface NanToNumOptions {
  /** For NaN: 0 unless given. */
  nan?: TensorLike
  /** For Infinity: the greatest finite number of the dtype unless given. */
  posinf?: TensorLike
  /** For -Infinity: the least finite number of the dtype unless given. */
  neginf?: TensorLike
}

const greatestFinite: { readonly [D in DType]?: number } = {
  float32: (2 - 2 ** -23) * 2 ** 127,
  float16: 65504,
  bfloat16: (2 - 2 ** -7) * 2 ** 127,
}

/** x with finite numbers for NaN and the infinities. Integers and bool come back as they are. */
export function nanToNum(x: TensorLike, options: NanToNumOptions = {}): Tensor {
  const { nan = 0, posinf, neginf } = readOptions('np.nanToNum', options, ['nan', 'posinf', 'neginf'])
  const operand = asTensor(x)
  if (!isFloat(operand.dtype)) return operand
  const { value, dtype } = operand
  const end = greatestFinite[dtype]!
  const replace = (result: Tensor, isBad: Value, by: TensorLike): Tensor =>
    where(new Tensor(isBad), new Tensor(lift(by, dtype)), result)
  const real = replace(operand, ops.ne(value, value), nan)
  const bounded = replace(real, ops.eq(value, Infinity), posinf ?? end)
  return replace(bounded, ops.eq(value, -Infinity), neginf ?? -end)
}

import { isFloat } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { defaultEngine } from '../engine.js'
import { constant } from '../values.js'

const rank: readonly DType[] = [
  'bool',
  'uint8',
  'int8',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float16',
  'bfloat16',
  'float32',
]

/** The wider of two dtypes; float16 with bfloat16 gives float32, uint32 with a signed integer int64, as in JAX. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  const [low, high] = rank.indexOf(a) < rank.indexOf(b) ? [a, b] : [b, a]
  if (low === 'float16' && high === 'bfloat16') return 'float32'
  if (high === 'uint32' && (low === 'int32' || low === 'int8')) return 'int64'
  if (low === 'uint8' && high === 'int8') return 'int32'
  if (low === 'int8' && high === 'uint16') return 'int32'
  return high
}

/**
 * The common dtype of operands. A bare number is weak: it takes the others' dtype, but a non-integer beside integers
 * gives float32, and any number beside bool int32 or float32. A bigint is int64. Numbers alone give float32.
 */
export function commonDtype(...operands: readonly TensorLike[]): DType {
  const strong = operands.flatMap((x): DType[] =>
    x instanceof Tensor ? [x.dtype] : typeof x === 'bigint' ? ['int64'] : [],
  )
  const numbers = operands.filter(x => typeof x === 'number')
  if (strong.length === 0) return numbers.length > 0 ? 'float32' : 'bool'
  const dtype = strong.reduce(promote)
  if (numbers.length === 0 || isFloat(dtype)) return dtype
  if (!numbers.every(Number.isInteger)) return 'float32'
  return dtype === 'bool' ? 'int32' : dtype
}

/** An operand as a value of a dtype. */
export function lift(x: TensorLike, dtype: DType): Value {
  defaultEngine()
  return x instanceof Tensor ? ops.convertElementType(x.value, dtype) : constant(x, dtype)
}

/** Whether elements are other than 0. */
export const truth = (x: Tensor): Value => (x.dtype === 'bool' ? x.value : ops.ne(x.value, 0))

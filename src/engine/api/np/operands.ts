/**
 * Operands of np's functions as values: their common dtype, broadcasting, and functions lifted from values to arrays.
 */
import { isFloat, isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { sameShape } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import type { Value } from '../../program/value.js'
import { commonDtypeOf, indexDtypeOf, valueOf } from '../nested.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { broadcastShapes, stretch } from '../values.js'

/** The common dtype of operands, by the rules of `commonDtypeOf`. */
export const commonDtype = (...operands: readonly TensorLike[]): DType => commonDtypeOf(operands)

/** An operand as a value of a dtype. */
export const lift = (x: TensorLike, dtype: DType): Value => valueOf(x, dtype)

/** An operand as an array: an array itself, or `np.array` of a number or list. */
export const asTensor = (x: TensorLike): Tensor => (x instanceof Tensor ? x : new Tensor(lift(x, commonDtype(x))))

/** The dtype that a function of real numbers computes in: the dtype itself, or float32 for integers and bool. */
export const floating = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'float32')

/** An operand as a float array: integers and bool become float32. */
export function asFloat(x: TensorLike): Tensor {
  const tensor = asTensor(x)
  return new Tensor(lift(tensor, floating(tensor.dtype)))
}

/** Values stretched to the shape that they broadcast to. */
export function broadcast(...values: readonly Value[]): Value[] {
  if (values.every(v => sameShape(v.shape, values[0].shape))) return [...values]
  const shape = broadcastShapes(...values.map(v => v.shape))
  return values.map(v => stretch(v, shape))
}

/** Whether elements are nonzero, as bool. NaN counts as nonzero. */
export function truth(x: TensorLike): Value {
  const { value } = asTensor(x)
  return value.dtype === 'bool' ? value : ops.ne(value, 0)
}

/** Indices as integers: whole numbers and lists of them are int32. Throws a ShapeError for floats and bool. */
export function asIndices(indices: TensorLike, name: string): Tensor {
  const dtype = indexDtypeOf(indices)
  check(isInteger(dtype), () => `${name} must be integers, not ${dtype}: convert them first (np.astype)`)
  return new Tensor(lift(indices, dtype))
}

/** A function of one array. TypeScript infers from the last signature what `jit(np.sin)` and the like take. */
export interface Unary {
  (x: TensorLike): Tensor
  (x: Tensor): Tensor
}

/** A function of two arrays: see `Unary`. */
export interface Binary {
  (x: TensorLike, y: TensorLike): Tensor
  (x: Tensor, y: Tensor): Tensor
}

/** A function of a value as one of an array that keeps its dtype. */
export const unary =
  (f: (x: Value) => Value): Unary =>
  (x: TensorLike) =>
    new Tensor(f(asTensor(x).value))

/** A function of a float value as one of an array: integers and bool become float32. */
export const floatUnary =
  (f: (x: Value) => Value): Unary =>
  (x: TensorLike) =>
    new Tensor(f(asFloat(x).value))

const lifted =
  (f: (x: Value, y: Value) => Value, dtypeOf: (common: DType) => DType): Binary =>
  (x: TensorLike, y: TensorLike) => {
    const dtype = dtypeOf(commonDtype(x, y))
    const [a, b] = broadcast(lift(x, dtype), lift(y, dtype))
    return new Tensor(f(a, b))
  }

/** A function of two values of one shape and dtype as one of arrays: operands take their common dtype and broadcast. */
export const binary = (f: (x: Value, y: Value) => Value) => lifted(f, dtype => dtype)

/** As `binary`; integers and bool become float32. */
export const floatBinary = (f: (x: Value, y: Value) => Value) => lifted(f, floating)

/** As `binary`; bool becomes int32, as in JAX. */
export const numericBinary = (f: (x: Value, y: Value) => Value) =>
  lifted(f, dtype => (dtype === 'bool' ? 'int32' : dtype))

/**
 * Applies a product to operands of their common dtype. bool is multiplied as int32: some pair is true where the sum is
 * not 0.
 */
export function product(operands: readonly TensorLike[], f: (values: Value[]) => Value): Tensor {
  const dtype = commonDtype(...operands)
  if (dtype !== 'bool') return new Tensor(f(operands.map(x => lift(x, dtype))))
  return new Tensor(ops.ne(f(operands.map(x => lift(x, 'int32'))), 0))
}

/** The elements start to stop - 1 of an axis. */
export const sliceAxis = (x: Value, axis: number, start: number, stop: number): Value =>
  ops.slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((d, i) => (i === axis ? stop : d)),
  )

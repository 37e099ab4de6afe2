/**
 * Converts bare numbers and nested lists, which every function accepts in place of an array, to values. tensor.ts
 * imports this file, so this file cannot import `Tensor`: it takes any object with a `value` for an array.
 */
import { checkDType, isFloat, isInteger } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'
import { check, SwitchyardError } from '../../base/errors.js'
import { hostFrom, hostTensor } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { formatAval, sameShape } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { Value } from '../program/value.js'
import { describe, isScalar } from './describe.js'
import { defaultEngine } from './engine.js'
import { constant, integerOf, promote } from './values.js'

/** An array, a number, or nested lists of them. */
export type Nested<T> = T | number | bigint | boolean | readonly Nested<T>[]

type Scalar = number | bigint | boolean
interface Holder {
  readonly value: Value
}

/** Nested lists as a shape (`lengths`) and the leaves in row-major order. */
interface Flat {
  lengths: readonly number[]
  leaves: readonly (Scalar | Holder)[]
}

const isHolder = (x: unknown): x is Holder =>
  typeof x === 'object' && x !== null && (x as { value?: unknown }).value instanceof Value
const isList = (x: unknown): x is readonly unknown[] =>
  Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView))

/**
 * Flattens nested lists. Throws a SwitchyardError that names the first entry which is not a number or an array, or the
 * first list whose length differs from its neighbours'.
 */
function flatten(nested: unknown): Flat {
  if (isScalar(nested) || isHolder(nested)) return { lengths: [], leaves: [nested] }
  const lengths: number[] = []
  for (let level: unknown = nested; isList(level); level = level[0]) {
    lengths.push(level.length)
    if (level.length === 0) break
  }
  const leaves: (Scalar | Holder)[] = []
  const path: number[] = []
  const place = (): string => (path.length === 0 ? 'the argument' : `entry [${path.join('][')}]`)
  const visit = (node: unknown): void => {
    if (isList(node)) {
      if (node.length !== lengths[path.length])
        throw new SwitchyardError(
          `the nested lists are ragged: ${place()} is a list of ${node.length}, where ` +
            (path.length < lengths.length ? `the first has ${lengths[path.length]}` : 'the first is no list'),
        )
      const depth = path.length
      for (let i = 0; i < node.length; i++) {
        path[depth] = i
        visit(node[i])
      }
      path.length = depth
      return
    }
    if (!isScalar(node) && !isHolder(node))
      throw new SwitchyardError(
        `an array holds numbers, bigints, booleans and arrays, but ${place()} is ${describe(node)}`,
      )
    if (path.length !== lengths.length)
      throw new SwitchyardError(`the nested lists are ragged: ${place()} is no list, where the first is one`)
    leaves.push(node)
  }
  visit(nested)
  return { lengths, leaves }
}

/**
 * The common dtype of operands. A bare number is weakly typed: it takes the dtype of the arrays and bigints among the
 * operands. Exceptions: a fraction, NaN or an infinity with integer operands gives float32, and a number with bool
 * operands gives int32 (whole) or float32 (fraction). Numbers alone give float32, booleans alone bool. A bigint is
 * int64. Numbers in a list are treated as bare numbers.
 */
export function commonDtypeOf(operands: readonly Nested<Holder>[]): DType {
  const strong: DType[] = []
  let [numbers, fractions, booleans] = [0, 0, 0]
  for (const operand of operands) {
    for (const leaf of isHolder(operand) ? [operand] : flatten(operand).leaves) {
      if (typeof leaf === 'number') {
        numbers++
        if (!Number.isInteger(leaf)) fractions++
      } else if (typeof leaf === 'boolean') booleans++
      else strong.push(typeof leaf === 'bigint' ? 'int64' : leaf.value.dtype)
    }
  }
  if (strong.length === 0) return numbers === 0 && booleans > 0 ? 'bool' : 'float32'
  const dtype = strong.reduce(promote)
  if (numbers === 0 || isFloat(dtype)) return dtype
  if (fractions > 0) return 'float32'
  return dtype === 'bool' ? 'int32' : dtype
}

/** The dtype of indices: an array's own. Whole numbers without an array or bigint beside them are int32. */
export function indexDtypeOf(indices: Nested<Holder>): DType {
  const own = commonDtypeOf([indices])
  const areBare = !isHolder(indices) && own === 'float32'
  return areBare ? commonDtypeOf([indices, { value: constant(0, 'int32') }]) : own
}

/**
 * An array, number or nested list as a value of a dtype. Arrays in lists are stacked. Throws a ShapeError for a whole
 * number outside an integer dtype's range, and for arrays of different shapes in one list.
 */
export function valueOf(x: Nested<Holder>, dtype: DType): Value {
  if (isHolder(x)) return ops.convertElementType(x.value, dtype)
  defaultEngine()
  if (isScalar(x)) return constant(x, dtype)
  const { lengths, leaves } = flatten(x)
  if (leaves.every(isScalar)) return defaultEngine().put(hostOf(leaves, lengths, dtype))
  const rows = leaves.map(leaf => valueOf(leaf, dtype))
  const [{ shape }] = rows
  check(
    rows.every(row => sameShape(row.shape, shape)),
    () => `arrays in one list need one shape, not ${rows.map(row => formatAval(row.aval)).join(', ')}`,
  )
  const stacked = ops.concatenate(
    rows.map(row => ops.reshape(row, [1, ...shape])),
    0,
  )
  return ops.reshape(stacked, [...lengths, ...shape])
}

function hostOf(values: readonly Scalar[], shape: readonly number[], dtype: DType): HostTensor {
  checkDType(dtype)
  if (dtype === 'int64')
    return hostTensor(
      dtype,
      shape,
      BigInt64Array.from(values, v => BigInt(integerOf(v, dtype))),
    )
  const toNumber = isInteger(dtype) ? (v: Scalar): number => Number(integerOf(v, dtype)) : Number
  return hostFrom(dtype, shape, values.map(toNumber))
}

import { checkDType, dtypes, isFloat, isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { aval, sameAval, sameShape } from '../aval.js'
import type { Aval } from '../aval.js'
import { isAny, isBoolOrInteger, isNumeric } from './rule.js'
import type { DTypePredicate, ShapeRules } from './rule.js'

/** One operand; the output has its shape and dtype, or the dtype `result`. */
function unary(isAllowed: DTypePredicate, result?: DType) {
  return ([x]: readonly Aval[]): Aval[] => {
    check(isAllowed(x.dtype), () => `not defined for ${x.dtype}; convert it first (np.astype)`)
    return [aval(result ?? x.dtype, x.shape)]
  }
}

/** Two operands of one shape and dtype; the output has them too, or the dtype `result`. */
function binary(isAllowed: DTypePredicate, result?: DType) {
  return ([x, y]: readonly Aval[]): Aval[] => {
    check(sameAval(x, y), 'the operands must have one shape and one dtype')
    check(isAllowed(x.dtype), () => `not defined for ${x.dtype}; convert it first (np.astype)`)
    return [aval(result ?? x.dtype, x.shape)]
  }
}

/** The element-wise primitives. */
export const elementwiseShapes = {
  neg: unary(isNumeric),
  abs: unary(isNumeric),
  sign: unary(isNumeric),
  floor: unary(isFloat),
  ceil: unary(isFloat),
  round: unary(isFloat),
  exp: unary(isFloat),
  expm1: unary(isFloat),
  log: unary(isFloat),
  log1p: unary(isFloat),
  sqrt: unary(isFloat),
  rsqrt: unary(isFloat),
  sin: unary(isFloat),
  cos: unary(isFloat),
  tanh: unary(isFloat),
  logistic: unary(isFloat),
  erf: unary(isFloat),
  erfInv: unary(isFloat),
  not: unary(isBoolOrInteger),
  isFinite: unary(isFloat, 'bool'),
  stopGradient: unary(isAny),
  optimizationBarrier: unary(isAny),
  convertElementType: ([x], { dtype }) => {
    checkDType(dtype)
    return [aval(dtype, x.shape)]
  },
  bitcastConvertType: ([x], { dtype }) => {
    checkDType(dtype)
    check(
      dtypes[x.dtype].bytes === dtypes[dtype].bytes,
      `cannot reinterpret ${x.dtype} as ${dtype}: their widths differ`,
    )
    return [aval(dtype, x.shape)]
  },
  add: binary(isAny),
  sub: binary(isNumeric),
  mul: binary(isAny),
  div: binary(isNumeric),
  rem: binary(isNumeric),
  pow: binary(isFloat),
  atan2: binary(isFloat),
  max: binary(isAny),
  min: binary(isAny),
  and: binary(isBoolOrInteger),
  or: binary(isBoolOrInteger),
  xor: binary(isBoolOrInteger),
  shiftLeft: binary(isInteger),
  shiftRightLogical: binary(isInteger),
  shiftRightArithmetic: binary(isInteger),
  eq: binary(isAny, 'bool'),
  ne: binary(isAny, 'bool'),
  lt: binary(isAny, 'bool'),
  le: binary(isAny, 'bool'),
  gt: binary(isAny, 'bool'),
  ge: binary(isAny, 'bool'),
  select: ([condition, x, y]) => {
    check(condition.dtype === 'bool', 'the condition must be bool')
    check(
      sameAval(x, y) && sameShape(condition.shape, x.shape),
      'the operands must have one shape, the branches one dtype',
    )
    return [x]
  },
} satisfies ShapeRules

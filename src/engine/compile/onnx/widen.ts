import type { DType } from '../../../base/dtypes.js'
import { isElementwise } from '../../program/primitives.js'
import type { PrimitiveName } from '../../program/primitives.js'

/**
 * For each dtype, the type in which to compute, since ONNX Runtime 1.30 lacks kernels for the other types. float16 and
 * bfloat16 are computed in float32 and rounded after each equation, as in the interpreter; uint32 is computed in int64,
 * and the cast back wraps; integers of 8 and 16 bits are computed in int32.
 */
const wider: { readonly [D in DType]: DType } = {
  float32: 'float32',
  float16: 'float32',
  bfloat16: 'float32',
  int32: 'int32',
  uint32: 'int64',
  int64: 'int64',
  bool: 'bool',
  uint8: 'int32',
  int8: 'int32',
  uint16: 'int32',
}

/**
 * Primitives that need no wider type: they only move data, or their rules handle each type. `pad` is not one: ONNX's
 * Pad lacks some types.
 */
const structural: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  'reshape',
  'transpose',
  'broadcastInDim',
  'concatenate',
  'slice',
  'rev',
  'gather',
  'scatter',
  'dynamicSlice',
  'dynamicUpdateSlice',
  'iota',
  'convertElementType',
  'bitcastConvertType',
  'select',
  'stopGradient',
  'optimizationBarrier',
  'threefry2x32',
  'call',
  'composite',
  'linearCall',
  'scan',
  'while',
  'cond',
])

/** Primitives that compute on bool as int32 0 and 1. A result other than 0 is cast back to true. */
const ofBoolsAsNumbers: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  'argmax',
  'argmin',
  'sort',
  'topK',
  'reduceSum',
  'reduceProd',
  'reduceMax',
  'reduceMin',
  'dotGeneral',
  'scatterAdd',
])

/** The results of shifts depend on the width of the type, so their rules widen narrow integers themselves. */
const shifts: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  'shiftLeft',
  'shiftRightLogical',
  'shiftRightArithmetic',
])

/** Element-wise primitives that are not written in operators with uint32 kernels. All others are. */
const noUint32: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>(['div', 'rem'])

/** The type to which a primitive's operands of type `dtype` are cast, or in which it returns results of that type. */
export function computedAs(primitive: PrimitiveName, dtype: DType): DType {
  if (structural.has(primitive) || shifts.has(primitive)) return dtype
  if (dtype === 'bool' && ofBoolsAsNumbers.has(primitive)) return 'int32'
  // ONNX Runtime adds int32 in double precision, which is exact, but its cast back saturates instead of wrapping.
  if (dtype === 'int32' && primitive === 'reduceSum') return 'int64'
  if (dtype === 'uint32') return isElementwise(primitive) && !noUint32.has(primitive) ? dtype : wider[dtype]
  return wider[dtype]
}

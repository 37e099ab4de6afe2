import type { DType } from '../../../base/dtypes.js'
import { isElementwise } from '../../program/primitives.js'
import type { PrimitiveName } from '../../program/primitives.js'

/**
 * Which types ONNX Runtime's CPU kernels (1.30) compute with directly, and through which wider type the others go. float16 and
 * bfloat16 are computed in float32 and rounded after each equation, as the interpreter does; uint32 goes through int64, whose
 * conversion back wraps; the small integers go through int32.
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

/** These move data and do not compute: every type as it is, but what Pad lacks. */
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

/** These read bool as 0 and 1; a result that is not 0 is true again. */
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

/** Their results depend on the width of the type, so their rules widen the narrow integers themselves. */
const shifts: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  'shiftLeft',
  'shiftRightLogical',
  'shiftRightArithmetic',
])

/** The element-wise operations that have no uint32 kernel and are not written with those that have. */
const noUint32: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>(['div', 'rem'])

/** The type in which a primitive computes on operands (or results) of a type. */
export function computedAs(primitive: PrimitiveName, dtype: DType): DType {
  if (structural.has(primitive) || shifts.has(primitive)) return dtype
  if (dtype === 'bool' && ofBoolsAsNumbers.has(primitive)) return 'int32'
  // Sums of int32 are exact in the double precision in which ONNX Runtime adds, but saturate instead of wrapping.
  if (dtype === 'int32' && primitive === 'reduceSum') return 'int64'
  if (dtype === 'uint32') return isElementwise(primitive) && !noUint32.has(primitive) ? dtype : wider[dtype]
  return wider[dtype]
}

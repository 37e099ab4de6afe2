import { dtypes, extremeOf, isFloat, isInteger } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { hostScalar } from '../../../../base/host-tensor.js'
import type { Lowered } from '../graph.js'
import { Formula } from './formula.js'
import type { Lowering } from './rule.js'

/**
 * ONNX Runtime's Cast is a C cast. That is correct for all conversions except of floats out of an integer type's range,
 * for which the result depends on the processor (on x86 it is the least integer).
 */
export const convertElementType: Lowering<'convertElementType'> = ({ g, ins: [a] }, [x], { dtype }) => [
  isFloat(a.dtype) && isInteger(dtype) ? saturate(new Formula(g), g.cast(x, 'float32'), dtype) : g.cast(x, dtype),
]

/** Casts a float to an integer type: clipped to the type's range first, with 0 for NaN. */
function saturate(f: Formula, x: Lowered, dtype: DType): Lowered {
  const { g } = f
  const [least, greatest] = [extremeOf(dtype, 'least'), extremeOf(dtype, 'greatest')]
  const noNaN = f.where(f.test('IsNaN', x), f.constant(x, 0), x)
  const clipped = (high: number): Lowered => f.op('Clip', noNaN, f.constant(x, Number(least)), f.constant(x, high))
  if (dtypes[dtype].bytes < 4) return g.cast(g.cast(clipped(Number(greatest)), 'int32'), dtype)
  // float32 cannot hold the greatest integer. Values up to the greatest float32 below it are cast, larger ones become
  // that integer.
  const end = Number(greatest) + 1 // a power of two, even if the sum is rounded
  const whole = g.cast(clipped(end - end * 2 ** -24), dtype)
  const isBeyond = f.test('GreaterOrEqual', x, f.constant(x, end))
  return f.where(isBeyond, g.constant(hostScalar(dtype, greatest)), whole)
}

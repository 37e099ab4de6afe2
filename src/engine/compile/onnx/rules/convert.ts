import { dtypes, extremeOf, isFloat, isInteger } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { hostScalar } from '../../../../base/host-tensor.js'
import type { Lowered } from '../graph.js'
import { Formula } from './formula.js'
import type { Lowering } from './rule.js'

/**
 * ONNX Runtime's Cast is a C cast, which is right for everything but floats that an integer cannot hold: those give whatever the
 * processor does (the least integer, on x86).
 */
export const convertElementType: Lowering<'convertElementType'> = ({ g, ins: [a] }, [x], { dtype }) => [
  isFloat(a.dtype) && isInteger(dtype) ? saturate(new Formula(g), g.cast(x, 'float32'), dtype) : g.cast(x, dtype),
]

/** Clipped to the dtype's range, with 0 for NaN, and then cast. */
function saturate(f: Formula, x: Lowered, dtype: DType): Lowered {
  const { g } = f
  const [least, greatest] = [extremeOf(dtype, 'least'), extremeOf(dtype, 'greatest')]
  const number = f.where(f.test('IsNaN', x), f.constant(x, 0), x)
  const clipped = (high: number): Lowered => f.op('Clip', number, f.constant(x, Number(least)), f.constant(x, high))
  if (dtypes[dtype].bytes < 4) return g.cast(g.cast(clipped(Number(greatest)), 'int32'), dtype)
  // The greatest integer is no float32: the one below it is the last that is cast, and all beyond become the greatest integer.
  const end = Number(greatest) + 1 // a power of two, also where the sum rounds
  const whole = g.cast(clipped(end - end * 2 ** -24), dtype)
  const isBeyond = f.test('GreaterOrEqual', x, f.constant(x, end))
  return f.where(isBeyond, g.constant(hostScalar(dtype, greatest)), whole)
}

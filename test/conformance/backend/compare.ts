import { isFloat, toBfloat16Bits, toFloat16Bits } from '../../../src/base/dtypes.js'
import type { DType } from '../../../src/base/dtypes.js'
import { formatAval, sameAval } from '../../../src/engine/program/aval.js'
import { bytesOf, reader } from '../../../src/base/host-tensor.js'
import type { HostTensor } from '../../../src/base/host-tensor.js'

/**
 * The allowed difference of a float32 result from the interpreter's, which computes in double precision and rounds
 * once: a number of units in the last place (ulp), or an absolute difference. 'bits': none. float16 and bfloat16
 * results may differ by one ulp, or by `absolute`; integers and bool are exact. A zero keeps its sign, unless
 * `eitherZero`.
 */
export type Tolerance = 'bits' | { ulps: number; absolute?: number; eitherZero?: boolean }

export const exact: Tolerance = { ulps: 0 }
export const eitherZero: Tolerance = { ulps: 0, eitherZero: true }

/**
 * Describes in one line how `actual` differs; undefined if it does not. NaN equals NaN. With `flushesSubnormals`, a
 * zero of the same sign will do for a subnormal number.
 */
export function difference(
  actual: HostTensor,
  expected: HostTensor,
  tolerance: Tolerance,
  flushesSubnormals = false,
): string | undefined {
  if (!sameAval(actual, expected)) return `is ${formatAval(actual)}, must be ${formatAval(expected)}`
  if (actual.data.constructor !== expected.data.constructor || actual.data.length !== expected.data.length) {
    return `is held in ${actual.data.constructor.name}(${actual.data.length}), must be in ${expected.data.constructor.name}(${expected.data.length})`
  }
  const { dtype } = expected
  const [readActual, readExpected] = [reader(dtype, actual.data), reader(dtype, expected.data)]
  const wrong: number[] = []
  for (let i = 0; i < expected.data.length; i++) {
    if (!isFloat(dtype)) {
      if (actual.data[i] !== expected.data[i]) wrong.push(i)
      continue
    }
    const [x, y] = [readActual(i), readExpected(i)]
    const isFlushed = flushesSubnormals && isSubnormal(y) && Object.is(x, y < 0 ? -0 : 0)
    if (!isFlushed && !near(dtype, x, y, tolerance)) wrong.push(i)
  }
  if (wrong.length === 0) return undefined
  const show = (t: HostTensor, i: number): string =>
    String(isFloat(dtype) ? signedZero(reader(dtype, t.data)(i)) : t.data[i])
  const some = wrong
    .slice(0, 4)
    .map(i => `[${i}] is ${show(actual, i)}, must be ${show(expected, i)}`)
    .join('; ')
  return `${wrong.length} of ${expected.data.length} elements differ: ${some}`
}

/** Whether a float32 or bfloat16 is so small that it has fewer digits than others. */
export const isSubnormal = (x: number): boolean => x !== 0 && Math.abs(x) < 2 ** -126

const signedZero = (x: number): string => (Object.is(x, -0) ? '-0' : String(x))

function near(dtype: DType, actual: number, expected: number, tolerance: Tolerance): boolean {
  if (Object.is(actual, expected)) return true
  if (tolerance === 'bits' || Number.isNaN(actual) || Number.isNaN(expected)) return false
  if (actual === 0 && expected === 0) return tolerance.eitherZero === true
  const ulps = tolerance.ulps === 0 || dtype === 'float32' ? tolerance.ulps : 1
  return (
    Math.abs(ordinal(dtype, actual) - ordinal(dtype, expected)) <= ulps ||
    Math.abs(actual - expected) <= (tolerance.absolute ?? 0)
  )
}

const float = new Float32Array(1)
const bits = new Int32Array(float.buffer)

/** Neighbouring floats have neighbouring ordinals; both zeros have 0, and infinity follows the largest. */
function ordinal(dtype: DType, x: number): number {
  float[0] = Math.abs(x)
  const magnitude =
    dtype === 'float32' ? bits[0] : dtype === 'float16' ? toFloat16Bits(float[0]) : toBfloat16Bits(float[0])
  return x < 0 ? -magnitude : magnitude
}

/** Whether two tensors are the same, bit for bit. */
export const sameBits = (a: HostTensor, b: HostTensor): boolean =>
  sameAval(a, b) && Buffer.compare(bytesOf(a), bytesOf(b)) === 0

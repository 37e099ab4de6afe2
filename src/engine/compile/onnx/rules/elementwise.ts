import { dtypes, isFloat } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import type { BinaryPrimitive, ComparePrimitive, PrimitiveName, UnaryPrimitive } from '../../../program/primitives.js'
import { erfInvPolynomials } from '../../erf-inv.js'
import type { Lowered } from '../graph.js'
import type { ElementType } from '../proto.js'
import { Formula } from './formula.js'
import { broadcastShape } from './rule.js'
import type { Lowering } from './rule.js'

type ElementwisePrimitive = UnaryPrimitive | BinaryPrimitive | ComparePrimitive | 'select'

/** The ONNX operator `op`. */
const node =
  (op: string): Lowering<ElementwisePrimitive> =>
  ({ g }, inputs) => [new Formula(g).op(op, ...inputs)]
/** Several operators. */
const formula =
  (write: (f: Formula, inputs: readonly Lowered[]) => Lowered): Lowering<ElementwisePrimitive> =>
  ({ g }, inputs) => [write(new Formula(g), inputs)]

/** One operator for bool, another for every other type. */
const logical =
  (ofBool: string, ofNumbers: string): Lowering<ElementwisePrimitive> =>
  ({ g }, inputs) => [new Formula(g).op(inputs[0].dtype === 'bool' ? ofBool : ofNumbers, ...inputs)]

/** ONNX has no comparisons of bool: they are compared as int32 0 and 1. */
const compare =
  (op: string, negated = false): Lowering<ElementwisePrimitive> =>
  ({ g }, inputs) => {
    const f = new Formula(g)
    const result = f.test(op, ...inputs.map(x => (x.dtype === 'bool' ? g.cast(x, 'int32') : x)))
    return [negated ? f.op('Not', result) : result]
  }

/** exp(x) - 1. Near 0 the subtraction would cancel, so there it is 2t / (1 - t) with t = tanh(x/2). */
const expm1 = formula((f, [x]) => {
  const t = f.op('Tanh', f.op('Mul', x, f.constant(x, 0.5)))
  const near = f.op('Div', f.op('Mul', t, f.constant(x, 2)), f.op('Sub', f.constant(x, 1), t))
  const far = f.op('Sub', f.op('Exp', x), f.constant(x, 1))
  return f.whereExactly(f.test('Less', f.op('Abs', x), f.constant(x, 0.5)), near, far)
})

/**
 * log(1 + x) = log(u) x / (u - 1) with u = 1 + x rounded: the ratio undoes the rounding (Kahan; Higham 2002, section
 * 1.14.1).
 */
const writeLog1p = (f: Formula, x: Lowered): Lowered => {
  const one = f.constant(x, 1)
  const u = f.op('Add', x, one)
  const gap = f.op('Sub', u, one)
  const lost = f.test('Equal', gap, f.constant(x, 0))
  const corrected = f.op('Mul', f.op('Log', u), f.op('Div', x, f.where(lost, one, gap)))
  const isInfinite = f.g.node('IsInf', [u], 'bool', u.shape, { detect_negative: 0 })
  return f.whereExactly(isInfinite, u, f.whereExactly(lost, x, corrected))
}
const log1p = formula((f, [x]) => writeLog1p(f, x))

/**
 * The inverse error function: see erf-inv.ts. w is computed from x^2 rounded, as XLA does: next to 1 and -1 that
 * rounding is most of the error, and random.normal is to equal JAX's.
 */
const erfInv = formula((f, [x]) => {
  const w = f.op('Neg', writeLog1p(f, f.op('Neg', f.op('Mul', x, x))))
  const central = f.polynomial(f.op('Sub', w, f.constant(x, 2.5)), erfInvPolynomials.central)
  const tail = f.polynomial(f.op('Sub', f.op('Sqrt', w), f.constant(x, 3)), erfInvPolynomials.tail)
  const inside = f.op('Mul', x, f.where(f.test('Less', w, f.constant(x, 5)), central, tail))
  const edge = f.test('Equal', f.op('Abs', x), f.constant(x, 1))
  return f.whereExactly(edge, f.op('Mul', x, f.constant(x, Infinity)), inside)
})

/**
 * The angle of the point (x, y): the arc tangent of min(|x|, |y|) / max(|x|, |y|), then moved to the point's octant.
 */
const atan2 = formula((f, [y, x]) => {
  const zero = f.constant(x, 0)
  const [ax, ay] = [f.op('Abs', x), f.op('Abs', y)]
  const larger = f.op('Max', ax, ay)
  const both = f.test('Equal', ax, ay)
  const ratio = f.op('Div', f.op('Min', ax, ay), f.where(f.test('Equal', larger, zero), f.constant(x, 1), larger))
  const safe = f.where(f.op('And', both, f.test('IsInf', ax)), f.constant(x, 1), ratio)
  const steep = f.test('Greater', ay, ax)
  const first = f.op('Atan', safe)
  const quadrant = f.where(steep, f.op('Sub', f.constant(x, Math.PI / 2), first), first)
  // The sign of a zero counts: 1/v is negative for -0.
  const negative = (v: Lowered): Lowered =>
    f.test('Less', f.where(f.test('Equal', v, zero), f.op('Div', f.constant(v, 1), v), v), zero)
  const half = f.where(negative(x), f.op('Sub', f.constant(x, Math.PI), quadrant), quadrant)
  return f.whereExactly(negative(y), f.op('Neg', half), half)
})

/**
 * Integers: x / 0 is -1, and x / -1 is -x. Both divide by 1 instead, because ONNX Runtime's division would raise a CPU
 * exception for 0, and for the least integer / -1.
 */
const div: Lowering<ElementwisePrimitive> = ({ g, outs: [out] }, [x, y]) => {
  const f = new Formula(g)
  if (isFloat(out.dtype)) return [f.op('Div', x, y)]
  const divisor = g.integerOf(y)
  if (divisor !== undefined && divisor > 0) {
    const [quotient, bound] = [f.op('Div', x, y), g.boundOf(x)]
    return [bound === undefined ? quotient : g.bounded(quotient, Math.ceil(bound / divisor))]
  }
  const [byZero, byMinusOne, safe] = guardDivisor(f, y)
  const quotient = f.op('Div', x, safe)
  const signed = byMinusOne ? f.where(byMinusOne, f.op('Sub', f.constant(x, 0), x), quotient) : quotient
  return [f.where(byZero, f.constant(x, -1), signed)]
}

/** Integers: x - (x / y) y. ONNX's Mod with fmod computes in floating point, which loses digits of int64. */
const rem: Lowering<ElementwisePrimitive> = (context, [x, y]) => {
  const f = new Formula(context.g)
  if (isFloat(context.outs[0].dtype)) return [context.g.node('Mod', [x, y], x.dtype, broadcastShape(x, y), { fmod: 1 })]
  const [byZero] = guardDivisor(f, y)
  const [quotient] = div(context, [x, y], {})
  return [f.where(byZero, x, f.op('Sub', x, f.op('Mul', quotient, y)))]
}

/**
 * The exponent is given an element for each result: ONNX Runtime's Pow multiplies where one exponent of 2 or 3 stands
 * for several, which rounds differently, and an exponent is broadcast in some programs and not in others.
 */
const pow: Lowering<ElementwisePrimitive> = ({ g }, [x, y]) => {
  const shape = broadcastShape(x, y)
  return [g.node('Pow', [x, g.expand(y, shape)], x.dtype, shape)]
}

/** Where an integer divisor is 0 and where it is -1 (null if unsigned), and the divisor with 1 in these places. */
function guardDivisor(f: Formula, y: Lowered): [byZero: Lowered, byMinusOne: Lowered | null, safe: Lowered] {
  const byZero = f.test('Equal', y, f.constant(y, 0))
  if (y.dtype.startsWith('u')) return [byZero, null, f.where(byZero, f.constant(y, 1), y)]
  const byMinusOne = f.test('Equal', y, f.constant(y, -1))
  return [byZero, byMinusOne, f.where(f.op('Or', byZero, byMinusOne), f.constant(y, 1), y)]
}

/**
 * ONNX's BitShift exists for unsigned integers only, and in ONNX Runtime not for uint16: narrow types are shifted in 32
 * bits, signed ones as unsigned. A count that is not within the width shifts every bit out.
 */
const shift =
  (direction: 'LEFT' | 'RIGHT', arithmetic = false): Lowering<ElementwisePrimitive> =>
  ({ g, outs: [out], ...context }, [x, y]) => {
    const f = new Formula(g)
    if (dtypes[out.dtype].bytes < 4) {
      const dtype = arithmetic ? 'int32' : 'uint32'
      const operands = [arithmetic ? signExtended(f, x) : zeroExtended(f, x), wideCount(f, y, dtype)]
      const [shifted] = shift(direction, arithmetic)({ g, ...context, outs: [{ ...out, dtype }] }, operands, {})
      return [g.cast(shifted, out.dtype)]
    }
    if (arithmetic && out.dtype === 'uint32') {
      const signed = shift(direction, true)(
        { g, ...context, outs: [{ ...out, dtype: 'int32' }] },
        [g.bitcast(x, 'int32'), g.bitcast(y, 'int32')],
        {},
      )
      return [g.bitcast(signed[0], 'uint32')]
    }
    const unsigned: ElementType = out.dtype === 'int32' ? 'uint32' : out.dtype === 'int64' ? 'uint64' : out.dtype
    const bits = (v: Lowered): Lowered => (unsigned === 'uint32' ? g.bitcast(v, unsigned) : g.cast(v, unsigned))
    const width = 8 * dtypes[out.dtype].bytes
    const lowest = f.constant(y, 0)
    const past = f.op('Or', f.test('Less', y, lowest), f.test('GreaterOrEqual', y, f.constant(y, width)))
    const count = f.where(past, f.constant(y, arithmetic ? width - 1 : 0), y)
    // An arithmetic shift of a negative number is the complement of a logical shift of its complement.
    const negative = arithmetic ? f.test('Less', x, f.constant(x, 0)) : undefined
    const flip = (v: Lowered): Lowered => (negative ? f.where(negative, f.op('BitwiseNot', v), v) : v)
    const source = flip(x)
    const shifted = g.node('BitShift', [bits(source), bits(count)], unsigned, broadcastShape(source, count), {
      direction,
    })
    const back = flip(unsigned === 'uint32' ? g.bitcast(shifted, out.dtype) : g.cast(shifted, out.dtype))
    return [arithmetic ? back : f.where(past, f.constant(back, 0), back)]
  }

const zeroExtended = ({ g }: Formula, x: Lowered): Lowered =>
  g.cast(x.dtype === 'int8' ? g.cast(x, 'uint8') : x, 'uint32')

/** A narrow integer as int32, filled with copies of its top bit even if the type is unsigned. */
function signExtended(f: Formula, x: Lowered): Lowered {
  const { g } = f
  if (x.dtype !== 'uint16') return g.cast(g.cast(x, 'int8'), 'int32')
  const wide = g.cast(x, 'int32')
  const isNegative = f.test('GreaterOrEqual', wide, g.scalar('int32', 2 ** 15))
  return f.where(isNegative, f.op('Sub', wide, g.scalar('int32', 2 ** 16)), wide)
}

/** The count of a narrow shift as the count of a shift in 32 bits: a count not within the narrow width becomes 32. */
function wideCount(f: Formula, y: Lowered, dtype: 'int32' | 'uint32'): Lowered {
  const { g } = f
  const wide = g.cast(y, 'int32')
  const width = g.scalar('int32', 8 * dtypes[y.dtype as DType].bytes)
  const isPast = f.op('Or', f.test('Less', wide, g.scalar('int32', 0)), f.test('GreaterOrEqual', wide, width))
  return g.cast(f.where(isPast, g.scalar('int32', 32), wide), dtype)
}

const select = formula((f, [condition, x, y]) => f.where(condition, x, y))

const identity: Lowering<ElementwisePrimitive> = (_, [x]) => [x]

/**
 * ONNX Runtime's Sign loses NaN and -0, and reads only the low 32 bits of int64. Floats are multiplied by 2^149 (by two
 * factors, since float32 cannot hold 2^149), which makes the smallest positive float 1, and clipped to -1..1.
 */
const sign: Lowering<ElementwisePrimitive> = ({ g, outs: [out] }, [x]) => {
  const f = new Formula(g)
  if (isFloat(out.dtype)) {
    const scaled = f.op('Mul', f.op('Mul', x, f.constant(x, 2 ** 100)), f.constant(x, 2 ** 49))
    return [f.op('Clip', scaled, f.constant(x, -1), f.constant(x, 1))]
  }
  const zero = f.constant(x, 0)
  const negative = out.dtype.startsWith('u') ? zero : f.where(f.test('Less', x, zero), f.constant(x, -1), zero)
  return [f.where(f.test('Greater', x, zero), f.constant(x, 1), negative)]
}

/**
 * max and min. ONNX Runtime 1.30's Max and Min compare only the low 32 bits of int64, so int64 is compared and selected
 * instead. For floats they return NaN if any operand is NaN (unlike ReduceMax and ReduceMin, see reduce.ts).
 */
const extreme =
  (op: string, comparison: string, ofBool: string): Lowering<ElementwisePrimitive> =>
  ({ g, outs: [out] }, [x, y]) => {
    const f = new Formula(g)
    if (out.dtype === 'bool') return [f.op(ofBool, x, y)]
    return [out.dtype === 'int64' ? f.where(f.test(comparison, x, y), x, y) : f.op(op, x, y)]
  }

// prettier-ignore
export const elementwiseRules = {
  neg: ({ g, outs: [out] }, [x]) => {
    const f = new Formula(g)
    return [out.dtype === 'uint32' ? f.op('Sub', f.constant(x, 0), x) : f.op('Neg', x)]
  },
  abs: node('Abs'), sign, floor: node('Floor'), ceil: node('Ceil'), round: node('Round'),
  exp: node('Exp'), expm1, log: node('Log'), log1p, sqrt: node('Sqrt'),
  rsqrt: formula((f, [x]) => f.op('Div', f.constant(x, 1), f.op('Sqrt', x))),
  sin: node('Sin'), cos: node('Cos'), tanh: node('Tanh'), logistic: node('Sigmoid'), erf: node('Erf'), erfInv,
  not: logical('Not', 'BitwiseNot'),
  isFinite: formula((f, [x]) => f.op('Not', f.op('Or', f.test('IsInf', x), f.test('IsNaN', x)))),
  stopGradient: identity, optimizationBarrier: identity,
  add: logical('Or', 'Add'), sub: node('Sub'), mul: logical('And', 'Mul'), div, rem, pow,
  max: extreme('Max', 'Greater', 'Or'), min: extreme('Min', 'Less', 'And'), atan2,
  and: logical('And', 'BitwiseAnd'), or: logical('Or', 'BitwiseOr'), xor: logical('Xor', 'BitwiseXor'),
  shiftLeft: shift('LEFT'), shiftRightLogical: shift('RIGHT'), shiftRightArithmetic: shift('RIGHT', true),
  eq: compare('Equal'), ne: compare('Equal', true),
  lt: compare('Less'), le: compare('LessOrEqual'), gt: compare('Greater'), ge: compare('GreaterOrEqual'),
  select,
} satisfies { [P in PrimitiveName]?: Lowering<ElementwisePrimitive> }

/** Functions of vectors that are more than one instruction. */
import { erfInvPolynomials } from '../erf-inv.js'
import { f32x4, f64x2, i32x4, v128 } from './instructions.js'
import { bitsOf } from './vectors.js'
import type { Vector, Vectors } from './vectors.js'

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
]

/**
 * Threefry-2x32 with 20 rounds: see reference/threefry.ts. What depends on the key alone is computed before the loop.
 */
export function threefry2x32(b: Vectors, key0: Vector, key1: Vector, high: Vector, low: Vector): [Vector, Vector] {
  const add = (x: Vector, y: Vector): Vector => b.op(i32x4.add, [x, y])
  const xor = (x: Vector, y: Vector): Vector => b.op(v128.xor, [x, y])
  const keys = [key0, key1, xor(xor(key0, key1), b.integer(0x1bd11bda))]
  let x0 = add(high, key0)
  let x1 = add(low, key1)
  for (let block = 0; block < 5; block++) {
    for (const r of rotations[block % 2]) {
      x0 = add(x0, x1)
      x1 = xor(b.rotateLeft(x1, r), x0)
    }
    x0 = add(x0, keys[(block + 1) % 3])
    x1 = add(x1, add(keys[(block + 2) % 3], b.integer(block + 1)))
  }
  return [x0, x1]
}

/**
 * x modulo y, unsigned; x modulo 0 is x. The quotient is exact: doubles hold both numbers, and whole quotients are hit
 * exactly. A quotient by 0 may be any number, because it is multiplied by 0.
 */
export function remainder(b: Vectors, x: Vector, y: Vector): Vector {
  const upper = (v: Vector): Vector => b.shuffle(v, v, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])
  const wide = (v: Vector): Vector => b.op(f64x2.convertLowI32x4U, [v])
  const quotients = (u: Vector, v: Vector): Vector =>
    b.op(i32x4.truncSatF64x2UZero, [b.op(f64x2.div, [wide(u), wide(v)])])
  const quotient = b.shuffle(
    quotients(x, y),
    quotients(upper(x), upper(y)),
    [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
  )
  return b.op(i32x4.sub, [x, b.op(i32x4.mul, [quotient, y])])
}

/** -1, 0 or 1; a zero keeps its sign, NaN stays. */
export function sign(b: Vectors, x: Vector): Vector {
  const one = b.op(v128.or, [b.op(v128.and, [x, b.integer(0x80000000)]), b.float(1)])
  return b.where(b.op(f32x4.gt, [b.op(f32x4.abs, [x]), b.float(0)]), one, x)
}

const leastNormal = 2 ** -126
/** ln 2 in two parts; a multiple of the first by an exponent is exact. */
const ln2High = new Float32Array(Int32Array.of(bitsOf(Math.LN2) & ~0xfff).buffer)[0]
const ln2Low = Math.LN2 - ln2High

/** The natural logarithm. Its error is below 0.9 units in the last place. */
export function log(b: Vectors, x: Vector): Vector {
  // True for zeros, subnormal and negative numbers, infinities and NaN.
  const isSpecial = b.op(i32x4.geU, [
    b.op(i32x4.sub, [x, b.integer(bitsOf(leastNormal))]),
    b.integer(bitsOf(Infinity) - bitsOf(leastNormal)),
  ])
  return b.whereRarely(isSpecial, logOfNormal(b, x, 0), () => {
    const subnormal = logOfNormal(b, b.op(f32x4.mul, [x, b.float(2 ** 23)]), 23)
    const isPositive = b.op(f32x4.gt, [x, b.float(0)])
    const ofOthers = b.where(b.op(f32x4.eq, [x, b.float(0)]), b.float(-Infinity), b.float(NaN))
    const isInfinite = b.op(f32x4.eq, [x, b.float(Infinity)])
    return b.where(isInfinite, x, b.where(isPositive, subnormal, ofOthers))
  })
}

/**
 * log(x) - scale ln 2 of positive normal numbers. x = 2^e m with m from sqrt(1/2) to sqrt(2), f = m - 1, s = f / (2 +
 * f): log(m) = 2 atanh(s) = 2 s + 2/3 s^3 + 2/5 s^5 + ..., in which the first terms are written as f - f^2/2 + s f^2/2,
 * so that the largest, f, is exact (as in fdlibm, Sun 1993). The series' first term that is left out is below 3e-9 of
 * the sum.
 */
function logOfNormal(b: Vectors, x: Vector, scale: number): Vector {
  const mul = (u: Vector, v: Vector): Vector => b.op(f32x4.mul, [u, v])
  const add = (u: Vector, v: Vector): Vector => b.op(f32x4.add, [u, v])
  const sub = (u: Vector, v: Vector): Vector => b.op(f32x4.sub, [u, v])
  const exponent = b.shift(i32x4.shrS, b.op(i32x4.sub, [x, b.integer(bitsOf(Math.SQRT1_2))]), 23)
  const m = b.op(i32x4.sub, [x, b.shift(i32x4.shl, exponent, 23)])
  const e = b.op(f32x4.convertI32x4S, [scale === 0 ? exponent : b.op(i32x4.sub, [exponent, b.integer(scale)])])
  const f = sub(m, b.float(1))
  const s = b.op(f32x4.div, [f, add(f, b.float(2))])
  const z = mul(s, s)
  const series = mul(z, b.polynomial(z, [2 / 3, 2 / 5, 2 / 7, 2 / 9]))
  const half = mul(mul(f, f), b.float(0.5))
  const small = add(mul(s, add(half, series)), mul(e, b.float(ln2Low)))
  return add(mul(e, b.float(ln2High)), sub(f, sub(half, small)))
}

/**
 * log(1 + x): the logarithm of u = 1 + x rounded, plus what the rounding lost, over u. Its error is below 0.9 units in
 * the last place.
 */
export function log1p(b: Vectors, x: Vector): Vector {
  const one = b.float(1)
  const u = b.op(f32x4.add, [x, one])
  const lost = b.op(f32x4.sub, [x, b.op(f32x4.sub, [u, one])])
  const ofRounded = log(b, u)
  const corrected = b.op(f32x4.add, [ofRounded, b.op(f32x4.div, [lost, u])])
  const isRegular = b.op(v128.and, [b.op(f32x4.gt, [u, b.float(0)]), b.op(f32x4.lt, [u, b.float(Infinity)])])
  return b.where(b.op(f32x4.eq, [u, one]), x, b.where(isRegular, corrected, ofRounded))
}

/**
 * The inverse error function: see erf-inv.ts. w is computed from x^2 rounded, as XLA does: next to 1 and -1 that
 * rounding is most of the error, and random.normal is to equal JAX's.
 */
export function erfInv(b: Vectors, x: Vector): Vector {
  const w = b.op(f32x4.neg, [log1p(b, b.op(f32x4.neg, [b.op(f32x4.mul, [x, x])]))])
  const central = b.polynomial(b.op(f32x4.sub, [w, b.float(2.5)]), erfInvPolynomials.central)
  const isTail = b.op(v128.not, [b.op(f32x4.lt, [w, b.float(5)])])
  const factor = b.whereRarely(isTail, central, () => {
    const tail = b.polynomial(b.op(f32x4.sub, [b.op(f32x4.sqrt, [w]), b.float(3)]), erfInvPolynomials.tail)
    return b.where(b.op(f32x4.eq, [w, b.float(Infinity)]), w, tail)
  })
  return b.op(f32x4.mul, [x, factor])
}

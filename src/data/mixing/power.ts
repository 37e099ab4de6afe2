/** Binary places of the fixed-point numbers below. */
const PLACES = 192n
const ONE = 1n << PLACES

/**
 * x^y for x > 0, correctly rounded. JavaScript's own power is wrong in the last bit for about 7% of the arguments that
 * mixing rates have, where the C library's, which Python uses, is right.
 */
export function power(x: number, y: number): number {
  if (x === 1 || y === 0) return 1
  const rounded = x ** y
  if (rounded === 0 || rounded === Infinity) return rounded
  const exponent = (logarithm(x) * fixed(y)) >> PLACES
  const log2 = logarithmNearOne(2n * ONE)
  const twos = exponent / log2
  const scaled = exponential(exponent - twos * log2)
  // Number() rounds to the nearest even; the powers of two are exact.
  return Number(scaled >> 64n) * 2 ** (Number(twos) - Number(PLACES) + 64)
}

/** A number in fixed point: exact, apart from bits below 2^-192. */
function fixed(value: number): bigint {
  const exponent = Math.floor(Math.log2(Math.abs(value))) - 53
  const digits = BigInt(value / 2 ** exponent)
  const shift = PLACES + BigInt(exponent)
  return shift >= 0n ? digits << shift : digits >> -shift
}

/** The natural logarithm of x > 0. */
function logarithm(x: number): bigint {
  const exponent = Math.round(Math.log2(x))
  return logarithmNearOne(fixed(x / 2 ** exponent)) + BigInt(exponent) * logarithmNearOne(2n * ONE)
}

/** 2 atanh((m - 1) / (m + 1)), by its Taylor series. */
function logarithmNearOne(m: bigint): bigint {
  const z = ((m - ONE) << PLACES) / (m + ONE)
  const square = (z * z) >> PLACES
  let sum = 0n
  let term = z
  for (let k = 1n; term !== 0n && term !== -1n; k += 2n) {
    sum += term / k
    term = (term * square) >> PLACES
  }
  return 2n * sum
}

function exponential(x: bigint): bigint {
  let sum = ONE
  let term = ONE
  for (let k = 1n; term !== 0n && term !== -1n; k++) {
    term = ((term * x) >> PLACES) / k
    sum += term
  }
  return sum
}

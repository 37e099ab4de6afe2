import { check } from './errors.js'

/** Element types of arrays. */
export type DType =
  'float32' | 'float16' | 'bfloat16' | 'int32' | 'uint32' | 'int64' | 'bool' | 'uint8' | 'int8' | 'uint16'

/** The memory of an array. A Uint16Array holds the bits of float16 and bfloat16; bool is one byte, 0 or 1. */
export type TypedArray = Float32Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | Uint8Array | Int8Array

interface DTypeInfo {
  bytes: number
  kind: 'float' | 'int' | 'bool'
  /** The short name in printed programs, the same as JAX's. */
  short: string
  make: (buffer: ArrayBufferLike, byteOffset: number, length: number) => TypedArray
}

export const dtypes: { readonly [D in DType]: DTypeInfo } = {
  float32: { bytes: 4, kind: 'float', short: 'f32', make: (b, o, n) => new Float32Array(b, o, n) },
  float16: { bytes: 2, kind: 'float', short: 'f16', make: (b, o, n) => new Uint16Array(b, o, n) },
  bfloat16: { bytes: 2, kind: 'float', short: 'bf16', make: (b, o, n) => new Uint16Array(b, o, n) },
  int32: { bytes: 4, kind: 'int', short: 'i32', make: (b, o, n) => new Int32Array(b, o, n) },
  uint32: { bytes: 4, kind: 'int', short: 'u32', make: (b, o, n) => new Uint32Array(b, o, n) },
  int64: { bytes: 8, kind: 'int', short: 'i64', make: (b, o, n) => new BigInt64Array(b, o, n) },
  bool: { bytes: 1, kind: 'bool', short: 'bool', make: (b, o, n) => new Uint8Array(b, o, n) },
  uint8: { bytes: 1, kind: 'int', short: 'u8', make: (b, o, n) => new Uint8Array(b, o, n) },
  int8: { bytes: 1, kind: 'int', short: 'i8', make: (b, o, n) => new Int8Array(b, o, n) },
  uint16: { bytes: 2, kind: 'int', short: 'u16', make: (b, o, n) => new Uint16Array(b, o, n) },
}

/**
 * Throws a ShapeError that lists all dtypes if the string is not one. For callers in JavaScript, which checks no types.
 */
export function checkDType(dtype: string): asserts dtype is DType {
  check(
    Object.hasOwn(dtypes, dtype),
    () => `there is no dtype ${JSON.stringify(dtype)}: choose one of ${Object.keys(dtypes).join(', ')}`,
  )
}

export const isFloat = (d: DType): boolean => dtypes[d].kind === 'float'
export const isInteger = (d: DType): boolean => dtypes[d].kind === 'int'

/** The least or greatest value of a dtype: an infinity for floats, an exact bigint for integers, 0n or 1n for bool. */
export function extremeOf(dtype: DType, which: 'least' | 'greatest'): number | bigint {
  if (isFloat(dtype)) return which === 'least' ? -Infinity : Infinity
  if (dtype === 'bool') return which === 'least' ? 0n : 1n
  const bits = BigInt(8 * dtypes[dtype].bytes)
  if (dtype.startsWith('u')) return which === 'least' ? 0n : 2n ** bits - 1n
  return which === 'least' ? -(2n ** (bits - 1n)) : 2n ** (bits - 1n) - 1n
}

/** A zeroed typed array for `length` elements of `dtype`. */
export function allocate(dtype: DType, length: number): TypedArray {
  return dtypes[dtype].make(new ArrayBuffer(length * dtypes[dtype].bytes), 0, length)
}

const scratchFloat = new Float32Array(1)
const scratchBits = new Uint32Array(scratchFloat.buffer)

/** Rounds a number to bfloat16 (nearest, ties to even) and returns its 16 bits. */
export function toBfloat16Bits(value: number): number {
  scratchFloat[0] = value
  const bits = scratchBits[0]
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40 // keep a NaN a NaN
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

export function fromBfloat16Bits(bits: number): number {
  scratchBits[0] = bits << 16
  return scratchFloat[0]
}

/**
 * Rounds a number to float16 (nearest, ties to even) and returns its 16 bits. The value is rounded to float32 first.
 */
export function toFloat16Bits(value: number): number {
  scratchFloat[0] = value
  const bits = scratchBits[0]
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00 // rounds to 65536 or more: infinity
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
    return sign | ((rounded - 0x38000000) >>> 13)
  }
  // Subnormal: the unit is 2^-24, and scaling by a power of two is exact.
  return sign | roundHalfEven(Math.abs(scratchFloat[0]) * 2 ** 24)
}

export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/**
 * Rounds to the nearest integer, ties to even (IEEE 754, as Python's and NumPy's `round`). A zero keeps the sign of x.
 */
export function roundHalfEven(x: number): number {
  const magnitude = Math.abs(x)
  const floor = Math.floor(magnitude)
  const rest = magnitude - floor
  const isUp = rest > 0.5 || (rest === 0.5 && floor % 2 === 1)
  const rounded = isUp ? floor + 1 : floor
  return x < 0 || Object.is(x, -0) ? -rounded : rounded
}

import {
  allocate,
  dtypes,
  extremeOf,
  fromBfloat16Bits,
  fromFloat16Bits,
  isFloat,
  isInteger,
  toBfloat16Bits,
  toFloat16Bits,
} from './dtypes.js'
import type { DType, TypedArray } from './dtypes.js'
import { check } from './errors.js'

/** A tensor in a plain typed array, in row-major order: the form in which files, batches and backends exchange data. */
export interface HostTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: TypedArray
}

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** The size, in bytes, of a tensor of this type. */
export const bytesOfType = ({ dtype, shape }: Pick<HostTensor, 'dtype' | 'shape'>): number =>
  dtypes[dtype].bytes * sizeOf(shape)

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]
  }
  return strides
}

/** Builds a HostTensor and checks that the data fits the shape. */
export function hostTensor(dtype: DType, shape: readonly number[], data: TypedArray): HostTensor {
  check(
    data.length === sizeOf(shape),
    () => `a ${dtype} tensor of shape [${shape}] needs ${sizeOf(shape)} elements, got ${data.length}`,
  )
  return { dtype, shape, data }
}

/** A HostTensor from JS numbers, converted to `dtype`. */
export function hostFrom(dtype: DType, shape: readonly number[], values: ArrayLike<number>): HostTensor {
  const data = allocate(dtype, values.length)
  const write = writer(dtype, data)
  for (let i = 0; i < values.length; i++) write(i, values[i])
  return hostTensor(dtype, shape, data)
}

/** A HostTensor of shape []. A bigint keeps all the digits of an int64. */
export const hostScalar = (dtype: DType, value: number | bigint): HostTensor =>
  typeof value === 'bigint' && dtype === 'int64'
    ? { dtype, shape: [], data: new BigInt64Array([value]) }
    : hostFrom(dtype, [], [Number(value)])

/** Reads element `i` as a JS number; int64 is read as a number too (exact up to 2^53). */
export function reader(dtype: DType, data: TypedArray): (i: number) => number {
  if (data instanceof BigInt64Array) return i => Number(data[i])
  if (dtype === 'bfloat16') return i => fromBfloat16Bits(data[i])
  if (dtype === 'float16') return i => fromFloat16Bits(data[i])
  return i => data[i]
}

/**
 * Writes a JS number to element `i`, rounded or wrapped to the dtype like a C cast. Integers store NaN and infinities
 * as 0.
 */
export function writer(dtype: DType, data: TypedArray): (i: number, value: number) => void {
  if (data instanceof BigInt64Array)
    return (i, v) => {
      data[i] = Number.isFinite(v) ? BigInt.asIntN(64, BigInt(Math.trunc(v))) : 0n
    }
  if (dtype === 'bfloat16')
    return (i, v) => {
      data[i] = toBfloat16Bits(v)
    }
  if (dtype === 'float16')
    return (i, v) => {
      data[i] = toFloat16Bits(v)
    }
  if (dtype === 'bool')
    return (i, v) => {
      data[i] = v === 0 ? 0 : 1
    }
  return (i, v) => {
    data[i] = v
  }
}

/** All elements as JS numbers. */
export function toNumbers(tensor: HostTensor): number[] {
  const read = reader(tensor.dtype, tensor.data)
  return Array.from({ length: tensor.data.length }, (_, i) => read(i))
}

/**
 * Converts a tensor to a dtype, as XLA's `convert` does. Copies, unless the tensor has that dtype already. Floats to
 * integers: rounded towards 0, clamped to the dtype's range, NaN becomes 0. Integers to narrower ones: the low bits are
 * kept. To bool: everything but 0 becomes true, NaN too.
 */
export function castHost(tensor: HostTensor, dtype: DType): HostTensor {
  if (tensor.dtype === dtype) return tensor
  const data = allocate(dtype, tensor.data.length)
  if (tensor.dtype === 'bfloat16' && dtype === 'float32') {
    // Weights are often stored so. On bits, the loop takes a tenth of the time of one on numbers.
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length)
    const upper = tensor.data as Uint16Array
    for (let i = 0; i < bits.length; i++) bits[i] = upper[i] << 16
  } else if (isFloat(tensor.dtype) && isInteger(dtype)) saturate(tensor, dtype, data)
  else if (tensor.data instanceof BigInt64Array && isInteger(dtype)) {
    const bits = 8 * dtypes[dtype].bytes
    tensor.data.forEach((v, i) => {
      data[i] = Number(BigInt.asUintN(bits, v))
    })
  } else {
    const { data: source } = tensor
    const read = source instanceof BigInt64Array ? (i: number) => toOdd(source[i]) : reader(tensor.dtype, source)
    const write = writer(dtype, data)
    for (let i = 0; i < data.length; i++) write(i, read(i))
  }
  return { dtype, shape: tensor.shape, data }
}

/** Converts floats to integers: rounded towards 0 and clamped to the dtype's range. */
function saturate(tensor: HostTensor, dtype: DType, data: TypedArray): void {
  const read = reader(tensor.dtype, tensor.data)
  const [least, greatest] = [extremeOf(dtype, 'least'), extremeOf(dtype, 'greatest')]
  const [low, high] = [Number(least), Number(greatest)]
  for (let i = 0; i < data.length; i++) {
    const value = read(i)
    if (data instanceof BigInt64Array) {
      const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
      data[i] = value >= high ? BigInt(greatest) : value <= low ? BigInt(least) : whole
    } else data[i] = Number.isNaN(value) ? 0 : Math.max(low, Math.min(high, Math.trunc(value)))
  }
}

/**
 * A double that rounds to any narrower float exactly as the integer itself would. If the integer has more than 53 bits,
 * the last kept bit is set if any dropped bit was set ("rounding to odd"). Rounding to the nearest double instead would
 * round twice, which can give a wrong result.
 */
function toOdd(value: bigint): number {
  const magnitude = value < 0n ? -value : value
  if (magnitude < 2n ** 53n) return Number(value)
  const kept = (magnitude >> 11n) | BigInt((magnitude & 2047n) !== 0n)
  return Number(value < 0n ? -kept : kept) * 2048
}

/** The tensor's bytes, without a copy. */
export const bytesOf = (tensor: HostTensor): Uint8Array =>
  new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)

/** Slice i of a tensor along its first axis, as a view of the same memory. */
export function partOf({ dtype, shape, data }: HostTensor, i: number): HostTensor {
  const size = sizeOf(shape.slice(1))
  return { dtype, shape: shape.slice(1), data: data.subarray(i * size, (i + 1) * size) }
}

/** Tensors one after the other along `axis`. Their dtypes and the lengths of their other axes are equal. */
export function concatenateHost(tensors: readonly HostTensor[], axis: number): HostTensor {
  if (tensors.length === 1) return tensors[0]
  const [{ dtype, shape }] = tensors
  const outer = sizeOf(shape.slice(0, axis))
  const whole = shape.with(
    axis,
    tensors.reduce((sum, t) => sum + t.shape[axis], 0),
  )
  const data = allocate(dtype, sizeOf(whole))
  let at = 0
  for (let i = 0; i < outer; i++)
    for (const tensor of tensors) {
      const size = tensor.data.length / outer
      data.set(tensor.data.subarray(i * size, (i + 1) * size) as never, at)
      at += size
    }
  return { dtype, shape: whole, data }
}

/** A tensor that is a view of existing bytes. They are copied only if they are not aligned for the dtype. */
export function tensorFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): HostTensor {
  const length = sizeOf(shape)
  const { bytes: width, make } = dtypes[dtype]
  check(
    bytes.byteLength === length * width,
    () => `a ${dtype} tensor of shape [${shape}] needs ${length * width} bytes, got ${bytes.byteLength}`,
  )
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice()
  return { dtype, shape, data: make(aligned.buffer, aligned.byteOffset, length) }
}

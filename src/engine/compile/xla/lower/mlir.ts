import { isFloat } from '../../../../base/dtypes.js'
import type { DType } from '../../../../base/dtypes.js'
import { hostScalar, reader } from '../../../../base/host-tensor.js'
import type { Aval } from '../../../program/aval.js'

/** MLIR's names of the element types. */
const elementTypes: { readonly [D in DType]: string } = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  int32: 'i32',
  uint32: 'ui32',
  int64: 'i64',
  bool: 'i1',
  uint8: 'ui8',
  int8: 'i8',
  uint16: 'ui16',
}

/** `tensor<2x3xf32>` */
export const typeText = ({ dtype, shape }: Aval): string =>
  `tensor<${shape.map(d => `${d}x`).join('')}${elementTypes[dtype]}>`

/** Attributes of an operation: names and MLIR texts. */
export type Attributes = { readonly [name: string]: string }

/** A 64-bit integer attribute. */
export const integer = (value: number): string => `${value} : i64`

/** A list of 64-bit integers. */
export const integers = (values: readonly number[]): string =>
  values.length === 0 ? 'array<i64>' : `array<i64: ${values.join(', ')}>`

/** A list of axes inside of an attribute of StableHLO's own. */
export const axesText = (axes: readonly number[]): string => `[${axes.join(', ')}]`

/** A number of this dtype as a literal of a `dense` attribute. Floats are written with all of their digits. */
export function numberText(dtype: DType, value: number | bigint): string {
  const { data } = hostScalar(dtype, value)
  if (dtype === 'bool') return data[0] ? 'true' : 'false'
  if (!isFloat(dtype)) return String(data[0])
  const rounded = reader(dtype, data)(0)
  if (!Number.isFinite(rounded)) return specialFloats[dtype as keyof typeof specialFloats][String(rounded)]
  if (Object.is(rounded, -0)) return '-0.0'
  const text = String(rounded)
  // MLIR requires a decimal point.
  return /[.]/.test(text) ? text : text.replace(/^(-?\d+)/, '$1.0')
}

/** The bits of the floats that MLIR has no decimal literal for. */
const specialFloats: { readonly [D in 'float32' | 'float16' | 'bfloat16']: { readonly [value: string]: string } } = {
  float32: { NaN: '0x7FC00000', Infinity: '0x7F800000', '-Infinity': '0xFF800000' },
  float16: { NaN: '0x7E00', Infinity: '0x7C00', '-Infinity': '0xFC00' },
  bfloat16: { NaN: '0x7FC0', Infinity: '0x7F80', '-Infinity': '0xFF80' },
}

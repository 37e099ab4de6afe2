import { dtypes } from '../../../base/dtypes.js'
import type { DType, TypedArray } from '../../../base/dtypes.js'

/** Reads an integer or bool element exactly. */
export const integerReader =
  (data: TypedArray): ((i: number) => bigint) =>
  i =>
    BigInt(data[i])

/** Writes integers, wrapped to the width of the dtype; for bool, true unless 0. */
export function integerWriter(dtype: DType, data: TypedArray): (i: number, value: bigint) => void {
  if (data instanceof BigInt64Array)
    return (i, v) => {
      data[i] = BigInt.asIntN(64, v)
    }
  if (dtype === 'bool')
    return (i, v) => {
      data[i] = v === 0n ? 0 : 1
    }
  const bits = 8 * dtypes[dtype].bytes
  return (i, v) => {
    data[i] = Number(BigInt.asUintN(bits, v))
  }
}

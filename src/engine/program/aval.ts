import { dtypes } from '../../base/dtypes.js'
import type { DType } from '../../base/dtypes.js'

/** The type of a value (JAX's "abstract value"): the dtype of its elements and its static shape. */
export interface Aval {
  readonly dtype: DType
  readonly shape: readonly number[]
}

export const aval = (dtype: DType, shape: readonly number[]): Aval => ({ dtype, shape })

/** `f32[2,3]`, as JAX prints it. */
export const formatAval = (a: Aval): string => `${dtypes[a.dtype].short}[${a.shape.join(',')}]`

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

export const sameAval = (a: Aval, b: Aval): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape)

import type { DType } from '../../base/dtypes.js'
import { flatten, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { Tensor } from './tensor.js'
import { traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** The type of an array, without the array: a leaf of trees like one. */
export class TensorType implements Aval {
  constructor(
    readonly dtype: DType,
    readonly shape: readonly number[],
  ) {}
  toString(): string {
    return formatAval(this)
  }
}

/** A tree of arrays as a tree of their types. */
export type TypesOf<T> = T extends Tensor ? TensorType : T extends object ? { [K in keyof T]: TypesOf<T[K]> } : T

/** The types of what a function returns, for arguments of these types (arrays do too): it is traced, and nothing computed. */
export function evalShape<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
): (...args: Tree<TensorType>[]) => TypesOf<R> {
  return (...args) => {
    const { leaves, def } = flatten<TensorType>(args)
    const { program, outputDef } = traceTree(f, def, leaves)
    return unflatten<unknown>(
      outputDef,
      program.outputs.map(o => new TensorType(o.aval.dtype, o.aval.shape)),
    ) as TypesOf<R>
  }
}

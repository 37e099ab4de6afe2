import type { DType } from '../../base/dtypes.js'
import { flatten, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { Tensor } from './tensor.js'
import { traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** A dtype and a shape without data. Like an array, it is a leaf of trees. */
export class TensorType implements Aval {
  constructor(
    readonly dtype: DType,
    readonly shape: readonly number[],
  ) {}
  toString(): string {
    return formatAval(this)
  }
}

/** The TypeScript type of a tree, with a TensorType in place of each array. */
export type TypesOf<T> = T extends Tensor ? TensorType : T extends object ? { [K in keyof T]: TypesOf<T[K]> } : T

/**
 * A function that returns the types of f's results, for arguments given as types or as arrays. `f` is traced; nothing
 * is computed.
 */
export function evalShape<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
): (...args: Tree<TensorType>[]) => TypesOf<R> {
  return (...args) => {
    const { leaves, def } = flatten<TensorType>(args)
    const { program, outputDef } = traceTree(f, def, leaves, 'evalShape')
    return unflatten<unknown>(
      outputDef,
      program.outputs.map(o => new TensorType(o.aval.dtype, o.aval.shape)),
    ) as TypesOf<R>
  }
}

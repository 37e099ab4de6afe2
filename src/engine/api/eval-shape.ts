import type { DType } from '../../base/dtypes.js'
import { flatten, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import type { Array } from './array.js'
import { traceTree } from './tracing.js'
import type { ArrayTree } from './tracing.js'

/** The type of an array, without the array: a leaf of trees like one. */
export class ArrayType implements Aval {
  constructor(readonly dtype: DType, readonly shape: readonly number[]) {}
  toString(): string { return formatAval(this) }
}

/** A tree of arrays as a tree of their types. */
export type TypesOf<T> = T extends Array ? ArrayType : T extends object ? { [K in keyof T]: TypesOf<T[K]> } : T

/** The types of what a function returns, for arguments of these types (arrays do too): it is traced, and nothing computed. */
export function evalShape<A extends ArrayTree[], R extends ArrayTree>(f: (...args: A) => R): (...args: Tree<ArrayType>[]) => TypesOf<R> {
  return (...args) => {
    const { leaves, def } = flatten<ArrayType>(args)
    const { program, outputDef } = traceTree(f, def, leaves)
    return unflatten<unknown>(outputDef, program.outputs.map(o => new ArrayType(o.aval.dtype, o.aval.shape))) as TypesOf<R>
  }
}

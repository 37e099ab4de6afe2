/** Functions that return `[value, auxiliary results]`, of which only the value is differentiated. */
import { check } from '../../base/errors.js'
import { leafCount, treeKey } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { Value } from '../program/value.js'
import { reject, select } from '../transform/masks.js'
import type { Mask } from '../transform/masks.js'
import type { Tangent } from '../transform/rules.js'
import { rebuild } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

/** With `hasAux: true` the function returns [value, auxiliary results]; only the value is differentiated. */
export interface HasAux {
  hasAux: true
}

/** For each output of a function that returns [value, auxiliary results]: whether it belongs to the value. */
export function valueMask(who: string, def: TreeDef): boolean[] {
  check(
    def.kind === 'list' && def.items.length === 2,
    `${who}: with hasAux the function must return [value, auxiliary results]`,
  )
  return def.items.flatMap((item, i) => ops.range(leafCount(item)).map(() => i === 0))
}

/**
 * A function's results in parts: the value, the tree of a derivative of the value, and the auxiliary results, if any.
 */
export function parts(
  who: string,
  { outputDef }: TracedFunction,
  outputs: readonly Value[],
  hasAux: boolean,
): {
  isValue: Mask
  value: TensorTree
  valueKey: string
  valueTypes: Aval[]
  derivative: (tangents: readonly Tangent[]) => TensorTree
  aux: TensorTree[]
} {
  const isValue = hasAux ? valueMask(who, outputDef) : outputs.map(() => true)
  const [def, auxDef] = hasAux && outputDef.kind === 'list' ? outputDef.items : [outputDef]
  const values = select(outputs, isValue)
  return {
    isValue,
    value: rebuild(def, values),
    valueKey: treeKey(def),
    valueTypes: values.map(v => v.aval),
    derivative: tangents =>
      rebuild(
        def,
        select(tangents, isValue).map((t, i) => t ?? ops.zerosLike(values[i])),
      ),
    aux: auxDef ? [rebuild(auxDef, reject(outputs, isValue))] : [],
  }
}

/**
 * Separates options from the end of an argument list. They are recognised by a boolean `hasAux`: a tree of arrays does
 * not hold booleans under that key.
 */
export function splitOptions<A extends TensorTree[]>(args: readonly unknown[]): { args: A; hasAux: boolean } {
  const last = args.at(-1)
  const isOptions = typeof last === 'object' && last !== null && typeof (last as HasAux).hasAux === 'boolean'
  return { args: (isOptions ? args.slice(0, -1) : args) as A, hasAux: isOptions && (last as HasAux).hasAux }
}

import { readOptions } from './arguments.js'
import { check } from '../../base/errors.js'
import { pathsOf } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { mapped, unmapped } from '../transform/batching.js'
import { batchEval } from '../transform/vmap.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * The mapped axis of each array; null for an array that is not mapped. A number or null for a subtree holds for all its
 * arrays.
 */
export type AxisTree = number | null | readonly AxisTree[] | { readonly [key: string]: AxisTree }

/**
 * Turns a function of one example into a function of a batch, without a loop. `in` is the batch axis of the arguments:
 * one axis for all, or a list with an axis (or a tree of axes) for each; null for an argument that all examples share.
 * `out` is the batch axis of the outputs. Both default to 0 and may be negative. Throws a ShapeError when the mapped
 * axes have different lengths.
 */
export function vmap<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  options: { in?: AxisTree; out?: AxisTree } = {},
): (...args: A) => R {
  const { in: inAxes = 0, out: outAxes = 0 } = readOptions('vmap', options, ['in', 'out'])
  return (...args) => {
    const { values, def } = flattenArgs(args, 'vmap')
    const paths = pathsOf(def)
    const axes = spread(inAxes, def, 'in').map((axis, i) =>
      axis === null
        ? null
        : normalize(axis, values[i].ndim, () => `vmap: argument ${paths[i]}, ${formatAval(values[i].aval)},`),
    )
    const sizes = values.flatMap((v, i) => (axes[i] === null ? [] : [v.shape[axes[i]]]))
    check(sizes.length > 0, 'vmap: no argument is mapped')
    check(
      sizes.every(s => s === sizes[0]),
      () =>
        `vmap: the mapped axes have different lengths: ${values
          .flatMap((v, i) =>
            axes[i] === null ? [] : [`axis ${axes[i]} of argument ${paths[i]}, ${formatAval(v.aval)}`],
          )
          .join('; ')}`,
    )
    const example = values.map((v, i) => ({ dtype: v.dtype, shape: v.shape.filter((_, axis) => axis !== axes[i]) }))
    const { program, captured, outputDef } = traceTree(f, def, example, 'vmap')
    const leading = values.map((v, i) => (axes[i] === null ? unmapped(v) : mapped(ops.moveAxis(v, axes[i], 0))))
    const outputs = batchEval(program, { size: sizes[0] }, [...leading, ...captured.map(unmapped)])
    const places = spread(outAxes, outputDef, 'out')
    return rebuild<R>(
      outputDef,
      outputs.map(({ value, batched }, i) => {
        const place = places[i]
        if (place === null) {
          check(
            !batched,
            () => `vmap: out is null for an output ${formatAval(value.aval)} that differs between examples`,
          )
          return value
        }
        const ndim = value.ndim + (batched ? 0 : 1)
        const axis = normalize(place, ndim, () => `vmap: an output of ${ndim} axes,`)
        if (batched) return ops.moveAxis(value, 0, axis)
        const shape = value.shape.toSpliced(axis, 0, sizes[0])
        return ops.broadcastInDim(
          value,
          shape,
          ops.range(ndim).filter(a => a !== axis),
        )
      }),
    )
  }
}

function normalize(axis: number, ndim: number, what: () => string): number {
  check(Number.isInteger(axis) && axis >= -ndim && axis < ndim, () => `${what()} has no axis ${axis}`)
  return axis < 0 ? axis + ndim : axis
}

/** The axis of each leaf of a structure. */
function spread(axes: AxisTree, def: TreeDef, option: string): (number | null)[] {
  if (typeof axes === 'number' || axes === null) return pathsOf(def).map(() => axes)
  const wrong = (): string => `vmap: \`${option}\` does not have the structure of what it maps`
  if (def.kind === 'list') {
    check(Array.isArray(axes) && axes.length === def.items.length, wrong)
    return def.items.flatMap((item, i) => spread((axes as readonly AxisTree[])[i], item, option))
  }
  check(def.kind === 'dict' && def.keys.every(key => key in axes), wrong)
  return def.items.flatMap((item, i) =>
    spread((axes as { readonly [key: string]: AxisTree })[def.keys[i]], item, option),
  )
}

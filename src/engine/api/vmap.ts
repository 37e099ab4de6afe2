import { readOptions } from './arguments.js'
import { check } from '../../base/errors.js'
import { pathsOf } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import { withAxes } from '../program/axis-names.js'
import * as ops from '../program/ops.js'
import { mapped, unmapped } from '../transform/batching.js'
import { batchEval } from '../transform/vmap.js'
import { spreadPrefix } from './prefix-tree.js'
import type { PrefixTree } from './prefix-tree.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * The mapped axis of each array; null for an array that is not mapped. A number or null for a subtree holds for all its
 * arrays.
 */
export type AxisTree = PrefixTree<number | null>

const isAxis = (x: unknown): x is number | null => typeof x === 'number' || x === null

/**
 * Turns a function of one example into a function of a batch, without a loop. `in` is the batch axis of the arguments:
 * one axis for all, or a list with an axis (or a tree of axes) for each; null for an argument that all examples share.
 * `out` is the batch axis of the outputs. Both default to 0 and may be negative. `axisName` names the axis, so that `f`
 * can use collectives along it, such as `lax.psum(x, 'batch')`: the sum over all examples. Throws a ShapeError when the
 * mapped axes have different lengths.
 */
export function vmap<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  options: { in?: AxisTree; out?: AxisTree; axisName?: string } = {},
): (...args: A) => R {
  const { in: inAxes = 0, out: outAxes = 0, axisName: name } = readOptions('vmap', options, ['in', 'out', 'axisName'])
  return (...args) => {
    const { values, def } = flattenArgs(args, 'vmap')
    const paths = pathsOf(def)
    const axes = spreadPrefix(inAxes, def, isAxis, 'vmap: `in`').map((axis, i) =>
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
    const axis = { size: sizes[0], ...(name !== undefined && { name }) }
    const { program, captured, outputDef } = withAxes(name === undefined ? [] : [{ name, size: axis.size }], () =>
      traceTree(f, def, example, 'vmap'),
    )
    const leading = values.map((v, i) => (axes[i] === null ? unmapped(v) : mapped(ops.moveAxis(v, axes[i], 0))))
    const outputs = batchEval(program, axis, [...leading, ...captured.map(unmapped)])
    const places = spreadPrefix(outAxes, outputDef, isAxis, 'vmap: `out`')
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

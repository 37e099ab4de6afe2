/** Operations of random programs on a mesh: `shardMap`, with any operations in it, and collectives. */
import { isFloat } from '../../../src/base/dtypes.js'
import { sizeOf } from '../../../src/base/host-tensor.js'
import * as lax from '../../../src/engine/api/lax.js'
import { Tensor } from '../../../src/engine/api/tensor.js'
import { withAxes } from '../../../src/engine/program/axis-names.js'
import * as ops from '../../../src/engine/program/ops.js'
import { NamedSharding, P, shardShape } from '../../../src/engine/program/sharding.js'
import type { Mesh, PartitionSpec } from '../../../src/engine/program/sharding.js'
import { bind, traceClosed } from '../../../src/engine/program/trace.js'
import { varyingAxes } from '../../../src/engine/transform/varying.js'
import { axisOf } from './operation.js'
import type { Context, Operation } from './operation.js'
import { apply } from './steps.js'
import type { Table } from './steps.js'

/** Every spec that divides an array of this shape evenly and names at least these mesh axes. */
export function specsOf(mesh: Mesh, shape: readonly number[], named: readonly string[] = []): PartitionSpec[] {
  let entries: string[][][] = [shape.map(() => [])]
  for (const { name } of mesh.axes)
    entries = entries.flatMap(dims => [
      ...(named.includes(name) ? [] : [dims]),
      // An axis is the innermost one of a dimension, or the outermost.
      ...dims.flatMap((axes, i) =>
        (axes.length === 0
          ? [[name]]
          : [
              [...axes, name],
              [name, ...axes],
            ]
        ).map(both => dims.with(i, both)),
      ),
    ])
  const fits = (dims: string[][]): boolean =>
    dims.every((axes, i) => shape[i] % sizeOf(axes.map(a => mesh.axisSize(a))) === 0)
  return entries.filter(fits).map(dims => P(...dims))
}

/** Axes of a mesh: one of them, or several in any order. */
function axesFor(mesh: Mesh, n: number): string[] {
  const names = mesh.axes.map(a => a.name)
  const choices = [...names.map(name => [name]), names, names.toReversed()]
  return choices[n % choices.length]
}

/** Sums of 16-bit floats over devices are exact in any order if they have few digits. */
const bounded = (x: Tensor): Tensor => (isFloat(x.dtype) ? lax.max(lax.min(x, 4), -4) : x)

type Collective = (x: Tensor, axes: string[], context: Context, size: number) => Tensor | undefined

/** What the devices of a mesh compute together. */
export function collectivesOn(mesh: Mesh): Operation[] {
  const collective =
    (f: Collective): Operation =>
    (x, context) => {
      const axes = axesFor(mesh, context.a)
      return f(new Tensor(x), axes, context, sizeOf(axes.map(a => mesh.axisSize(a))))?.value
    }
  const summed =
    (f: Collective): Operation =>
    (x, c) =>
      !isFloat(x.dtype) || c.small ? collective((t, ...rest) => f(bounded(t), ...rest))(x, c) : undefined
  const along =
    (f: (dim: number, ...args: Parameters<Collective>) => Tensor | undefined): Collective =>
    (x, axes, c, size) =>
      x.ndim === 0 ? undefined : f(axisOf(x.value, c.b), x, axes, c, size)
  const splits = (x: Tensor, dim: number, size: number): boolean => x.shape[dim] % size === 0
  return [
    summed((x, axes) => lax.psum(x, axes)),
    summed((x, axes) => (x.dtype === 'bool' ? undefined : lax.pmean(x, axes))),
    collective((x, axes) => lax.pmax(x, axes)),
    collective((x, axes) => lax.pmin(x, axes)),
    collective((x, axes, { b }) => lax.allGather(x, axes, { axis: b % (x.ndim + 1) })),
    collective(along((dim, x, axes) => lax.allGather(x, axes, { axis: dim, tiled: true }))),
    summed(
      along((dim, x, axes, _, n) =>
        splits(x, dim, n) ? lax.psumScatter(x, axes, { axis: dim, tiled: x.shape[dim] !== n }) : undefined,
      ),
    ),
    ...[false, true].map(tiled =>
      collective(
        along((dim, x, axes, { a }, n) =>
          splits(x, dim, n)
            ? lax.allToAll(x, axes, dim, a % x.ndim, { tiled: tiled || x.shape[dim] !== n })
            : undefined,
        ),
      ),
    ),
    collective((x, [axis], { a, b }) => {
      const n = mesh.axisSize(axis)
      const pairs = Array.from({ length: n }, (_, i) => [i, (i + 1 + a) % n] as const)
      return lax.ppermute(
        x,
        axis,
        pairs.filter(([from]) => (from + b) % 3 !== 0),
      )
    }),
    (x, { a, b, other }) => {
      const index = lax.axisIndex(axesFor(mesh, a)).value
      const isOwn = ops.broadcastInDim(ops.eq(index, b % mesh.size), x.shape, [])
      return ops.select(isOwn, other(x), ops.full(x.shape, 1, x.dtype))
    },
  ]
}

/**
 * The inner steps on each device's parts of two arrays. The parts of the last results, which may differ between
 * devices, are put together along any dimension.
 */
export function shardMapOn(mesh: Mesh, table: Table): Operation {
  return (x, { a, b, inner, small, other }) => {
    const operands = [x, other(x)]
    const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]
    const inSpecs = operands.map(({ shape }, i) => pick(specsOf(mesh, shape), 5 * a + b + 7 * i))
    const types = operands.map(({ dtype, shape }, i) => ({
      dtype,
      shape: shardShape(shape, new NamedSharding(mesh, inSpecs[i])),
    }))
    const body = withAxes(mesh.axes, () =>
      traceClosed(types, parts => [parts[1], ...apply(table, parts, inner, small).slice(-3)]),
    )
    const varying = varyingAxes(
      body,
      inSpecs.map(spec => new Set(spec.axes)),
    )
    const shaped = traceClosed(types, parts =>
      // A scalar that differs between devices becomes a vector.
      bind('call', parts, { name: 'body', program: body, remat: false }).map((y, i) =>
        y.ndim === 0 && varying[i].size > 0 ? ops.reshape(y, [1]) : y,
      ),
    )
    const outSpecs = shaped.outputs.map(({ aval: { shape } }, i) => {
      const dims = shape.map(() => mesh.size)
      return pick(specsOf(mesh, dims, [...varying[i]]), a + 3 * b + i)
    })
    return bind('shardMap', operands, { mesh, inSpecs, outSpecs, body: shaped })
  }
}

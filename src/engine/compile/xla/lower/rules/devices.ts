import { sizeOf } from '../../../../../base/host-tensor.js'
import { deviceGroups } from '../../../../program/sharding.js'
import type { Mesh, MeshAxis } from '../../../../program/sharding.js'
import { expandShardMap, onOneDevice } from '../../../../transform/expand-shard-map.js'
import { integer } from '../mlir.js'
import type { Attributes } from '../mlir.js'
import * as ops from '../ops.js'
import { manualAxesText, shardingsText, shardingText } from '../shardy.js'
import type { BlockWriter, Lowered } from '../writer.js'
import { widened } from './reduce.js'
import type { LoweringContext, Lowerings } from './rule.js'

/**
 * The primitives about several devices. In a module without a mesh, one device computes the parts of all devices. Else
 * the body of a `shardMap` is a region that each device runs on its parts, in which collectives name groups of devices.
 */
export const deviceRules = {
  shardingConstraint: ({ block, module, outs }, [x], { sharding }) =>
    module.mesh
      ? [block.op('sdy.sharding_constraint', [x], outs[0], { sharding: shardingText(sharding.spec, outs[0]) })]
      : [x],

  shardMap: ({ block, module, outs }, inputs, params) => {
    const { mesh, inSpecs, outSpecs } = params
    if (!module.mesh) return module.inline(block, expandShardMap(params), inputs)
    // Within a device's program, a shardMap or a constraint is about arrays that this device has as a whole.
    const body = onOneDevice(params.body)
    // Arrays without elements are made on each side: of a region that is given these alone, XLA loses the place.
    const isFull = inputs.map(x => sizeOf(x.aval.shape) > 0)
    const isFullResult = outs.map(o => sizeOf(o.shape) > 0)
    const passed = inputs.filter((_, i) => isFull[i])
    const returned = outs.filter((_, i) => isFullResult[i])
    const region = block.region(
      body.inputs.filter((_, i) => isFull[i]).map(v => v.aval),
      (inner, values) => {
        const rest = values[Symbol.iterator]()
        const all = body.inputs.map((v, i) => (isFull[i] ? rest.next().value! : inner.constant(0, v.aval)))
        return module.inline(inner, body, all).filter((_, i) => isFullResult[i])
      },
      'sdy.return',
    )
    const attributes = {
      in_shardings: shardingsText(
        inSpecs.filter((_, i) => isFull[i]),
        passed.map(x => x.aval),
      ),
      manual_axes: manualAxesText(mesh),
      out_shardings: shardingsText(
        outSpecs.filter((_, i) => isFullResult[i]),
        returned,
      ),
    }
    const results = block.several('sdy.manual_computation', passed, returned, attributes, [region])[Symbol.iterator]()
    return outs.map((o, i) => (isFullResult[i] ? results.next().value! : block.constant(0, o)))
  },

  psum: ({ block, module }, [x], { axes }) => [
    summed(block, x, wide =>
      block.op('stablehlo.all_reduce', [wide], wide.aval, alongAxes(meshOf(module), axes), [sumRegion(block, wide)]),
    ),
  ],

  allGather: ({ block, module, outs }, [x], { axis, dim }) => [
    block.op('stablehlo.all_gather', [x], outs[0], {
      all_gather_dim: integer(dim),
      ...alongAxes(meshOf(module), [axis]),
    }),
  ],

  reduceScatter: ({ block, module, outs }, [x], { axis, dim }) => [
    summed(block, x, wide =>
      block.op(
        'stablehlo.reduce_scatter',
        [wide],
        { dtype: wide.aval.dtype, shape: outs[0].shape },
        { scatter_dimension: integer(dim), ...alongAxes(meshOf(module), [axis]) },
        [sumRegion(block, wide)],
      ),
    ),
  ],

  allToAll: ({ block, module, outs }, [x], { axis, splitDim, concatDim }) => [
    block.op('stablehlo.all_to_all', [x], outs[0], {
      split_dimension: integer(splitDim),
      concat_dimension: integer(concatDim),
      split_count: integer(axis.size),
      channel_handle: channel,
      replica_groups: listsText(deviceGroups(meshOf(module), [axis.name])),
    }),
  ],

  ppermute: ({ block, module, outs }, [x], { axis, permutation }) => {
    const groups = deviceGroups(meshOf(module), [axis.name])
    const pairs = groups.flatMap(group => permutation.map(([from, to]) => [group[from], group[to]]))
    // Without pairs, no device receives anything.
    if (pairs.length === 0) return [ops.like(block, x, 0)]
    const attributes = { channel_handle: channel, source_target_pairs: listsText(pairs) }
    return [block.op('stablehlo.collective_permute', [x], outs[0], attributes)]
  },

  axisIndex: ({ block, module, outs }, _, { axis }) => {
    const { axes } = meshOf(module)
    const at = axes.findIndex(a => a.name === axis.name)
    const inner = axes.slice(at + 1).reduce((n, a) => n * a.size, 1)
    const device = block.op('stablehlo.partition_id', [], { dtype: 'uint32', shape: [] })
    const row = ops.elementwise(block, 'divide', device, ops.like(block, device, inner))
    return [
      ops.convert(block, ops.elementwise(block, 'remainder', row, ops.like(block, row, axis.size)), outs[0].dtype),
    ]
  },
} satisfies Lowerings

/** The mesh of the module. Without one, `shardMap` has replaced collectives. */
function meshOf({ mesh }: LoweringContext['module']): Mesh {
  if (!mesh) throw new Error('a collective outside of a shardMap')
  return mesh
}

/** Devices of one program communicate (type 1). XLA numbers the collectives itself. */
const channel = '#stablehlo.channel_handle<handle = 1, type = 1>'

const alongAxes = (mesh: Mesh, axes: readonly MeshAxis[]): Attributes => ({
  channel_handle: channel,
  replica_groups: listsText(
    deviceGroups(
      mesh,
      axes.map(a => a.name),
    ),
  ),
  use_global_device_ids: 'unit',
})

const listsText = (lists: readonly (readonly number[])[]): string =>
  `dense<[${lists.map(list => `[${list.join(', ')}]`).join(', ')}]> : tensor<${lists.length}x${lists[0].length}xi64>`

/** A sum over devices: of bool whether any is true, of 16-bit floats rounded once. */
function summed(block: BlockWriter, x: Lowered, sum: (wide: Lowered) => Lowered): Lowered {
  const { dtype } = x.aval
  return dtype === 'bool' ? ops.isTrue(block, sum(ops.convert(block, x, 'int32'))) : widened(block, x, sum)
}

const sumRegion = (block: BlockWriter, { aval: { dtype } }: Lowered): string => {
  const scalar = { dtype, shape: [] }
  return block.region([scalar, scalar], (b, [p, q]) => [ops.elementwise(b, 'add', p, q)])
}

import { check } from '../../base/errors.js'
import { pathsOf } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import { withAxes } from '../program/axis-names.js'
import type { Program } from '../program/program.js'
import { NamedSharding, P, PartitionSpec } from '../program/sharding.js'
import type { Mesh } from '../program/sharding.js'
import { bind } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { varyingAxes } from '../transform/varying.js'
import { checkFunction, readOptions } from './arguments.js'
import { defaultEngine } from './engine.js'
import { partShape } from './mesh.js'
import { spreadPrefix } from './prefix-tree.js'
import type { PrefixTree } from './prefix-tree.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** The spec of each array of a tree. A spec for a subtree holds for all its arrays. */
export type SpecTree = PrefixTree<PartitionSpec>

export interface ShardMapOptions {
  /** How the arguments are split: one spec for all, or a list with a spec (or a tree of specs) for each. */
  in: SpecTree
  /** How the results of all devices are put together. */
  out: SpecTree
}

const isSpec = (x: unknown): x is PartitionSpec => x instanceof PartitionSpec

/**
 * Runs `f` on each device of a mesh, on the device's parts of the arguments, as JAX's `shard_map`. In `f`, arrays have
 * the shapes of the parts, and the collectives of `lax` (`psum`, `allToAll`, ...) combine what the devices compute.
 * Along mesh axes that an argument's spec does not name, all devices get the same part. Along those that a result's
 * spec does not name, all devices must compute the same, as after a `psum`. Arrays that `f` closes over are on every
 * device. On a backend with fewer devices than the mesh has, one device computes the parts of all.
 *
 * Throws a ShapeError if an array cannot be split evenly, or if a result that may differ between devices has a spec
 * that does not say so.
 */
export function shardMap<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
  mesh: Mesh,
  options: ShardMapOptions,
): (...args: A) => R {
  const { in: inTree, out: outTree } = readOptions('shardMap', options, ['in', 'out'], 'out')
  checkFunction(f, 'shardMap: the function')
  check(inTree !== undefined, 'shardMap needs the option in: how the arguments are split')
  return (...args) => {
    const { values, def } = flattenArgs(args, 'shardMap')
    const inSpecs = spreadPrefix(inTree, def, isSpec, 'shardMap: `in`')
    const types = partTypes(values, inSpecs, mesh, def)
    const { program, captured, outputDef } = withAxes(mesh.axes, () => traceTree(f, def, types, 'shardMap'))
    const specs = [...inSpecs, ...captured.map(() => P())]
    const outSpecs = spreadPrefix(outTree, outputDef, isSpec, 'shardMap: `out`')
    checkOutputs(program, specs, outSpecs, mesh, outputDef)
    if (values.length + captured.length === 0) defaultEngine()
    const outputs = bind('shardMap', [...values, ...captured], { mesh, inSpecs: specs, outSpecs, body: program })
    return rebuild<R>(outputDef, outputs)
  }
}

/** The types of a device's parts of the arguments. */
const partTypes = (
  values: readonly Value[],
  specs: readonly PartitionSpec[],
  mesh: Mesh,
  def: TreeDef,
): { dtype: Value['dtype']; shape: number[] }[] =>
  values.map(({ dtype, shape }, i) => {
    const where = (): string => `shardMap: argument ${pathsOf(def)[i]}`
    return { dtype, shape: partShape(shape, new NamedSharding(mesh, specs[i]), where) }
  })

/** Throws a ShapeError if a result differs along a mesh axis that its spec does not name. */
function checkOutputs(
  program: Program,
  inSpecs: readonly PartitionSpec[],
  outSpecs: readonly PartitionSpec[],
  mesh: Mesh,
  def: TreeDef,
): void {
  const varying = varyingAxes(
    program,
    inSpecs.map(spec => new Set(spec.axes)),
  )
  varying.forEach((axes, i) => {
    const unnamed = mesh.axes.map(a => a.name).filter(name => axes.has(name) && !outSpecs[i].axes.includes(name))
    const path = pathsOf(def)[i]
    check(
      unnamed.length === 0,
      () =>
        `shardMap: the result ${formatAval(program.outputs[i].aval)}${path && ` at ${path}`} may differ between the ` +
        `devices along ${unnamed.join(', ')}, which its spec ${outSpecs[i]} does not name: ` +
        'combine it (lax.psum), or name the axis in the spec',
    )
  })
}

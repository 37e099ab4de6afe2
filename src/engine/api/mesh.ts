/** Arrays on several devices: how they are laid out, and where the compiler is told. */
import type { ArrayShard, ReadPart } from '../compile/backend.js'
import { Concrete } from '../compile/concrete.js'
import { engineOf } from '../compile/engine.js'
import type { Aval } from '../program/aval.js'
import { Program, Var } from '../program/program.js'
import type { Atom } from '../program/program.js'
import * as ops from '../program/ops.js'
import { NamedSharding, sameMesh, shardShape } from '../program/sharding.js'
import type { Partition } from '../program/sharding.js'
import { isTracing } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { check } from '../../base/errors.js'
import type { TreeDef } from '../../base/pytree.js'
import { defaultEngine } from './engine.js'
import { spreadPrefix } from './prefix-tree.js'
import type { PrefixTree } from './prefix-tree.js'
import { Tensor, hostView } from './tensor.js'
import { flattenArgs, rebuild } from './tracing.js'
import type { TensorTree } from './tracing.js'

/** The layout of each array of a tree. A layout for a subtree holds for all its arrays. */
export type ShardingTree = PrefixTree<NamedSharding>

/** As ShardingTree; null for arrays whose layout is not given. */
export type PartialShardingTree = PrefixTree<NamedSharding | null | undefined>

const isSharding = (x: unknown): x is NamedSharding => x instanceof NamedSharding

/** The layout of each leaf of a structure; null where none is given. `what`: the option, for errors. */
export const spreadShardings = (tree: PartialShardingTree, def: TreeDef, what: string): (NamedSharding | null)[] =>
  spreadPrefix<NamedSharding | null | undefined>(tree, def, isLayout, what).map(layout => layout ?? null)

const isLayout = (x: unknown): x is NamedSharding | null | undefined => x === null || x === undefined || isSharding(x)

/**
 * Arrays on the devices of a mesh, laid out as `shardings` says: `devicePut(x, new NamedSharding(mesh, P('data')))`.
 * null: as a whole on one device. Throws a SwitchyardError if the backend has fewer devices than the mesh, or an array
 * cannot be split evenly. In a traced function it is `withShardingConstraint`.
 */
export function devicePut<T extends TensorTree>(x: T, shardings: PartialShardingTree): T {
  const { values, def } = flattenArgs([x], 'devicePut')
  const layouts = spreadShardings([shardings], def, 'devicePut: shardings')
  if (isTracing()) return rebuild<[T]>(def, constrained(values, layouts))[0]
  return rebuild<[T]>(
    def,
    values.map((v, i) => putOn(v, layouts[i])),
  )[0]
}

function putOn(x: Value, sharding: NamedSharding | null): Value {
  const engine = engineOf(x) ?? defaultEngine()
  if (sharding === null)
    return x instanceof Concrete && x.sharding !== null ? engine.putLater(x.aval, x.read(), null) : x
  shardShape(x.shape, sharding)
  if (!(x instanceof Concrete) || x.sharding === null) return engine.putLater(x.aval, hostView(new Tensor(x)), sharding)
  // The devices themselves move the parts of an array that is on a mesh.
  const v = new Var(x.aval)
  const { mesh, spec } = sharding
  return engine.run(new Program([v], [], [v]), [x], [], 'devicePut', { mesh, inputs: [null], outputs: [spec] })[0]
}

/**
 * The arrays themselves, which the compiler lays out over the devices as `shardings` says at this point of a jitted
 * function. Results do not depend on it, only where they are computed. On one device it does nothing.
 */
export function withShardingConstraint<T extends TensorTree>(x: T, shardings: ShardingTree): T {
  const { values, def } = flattenArgs([x], 'withShardingConstraint')
  const layouts = spreadPrefix([shardings], def, isSharding, 'withShardingConstraint: shardings')
  return rebuild<[T]>(
    def,
    values.map((v, i) => ops.shardingConstraint(v, layouts[i])),
  )[0]
}

/** An array on a mesh whose parts `read` reads: those that this process has, each once, one after the other. */
export const fromPartsOnMesh = async (type: Aval, sharding: NamedSharding, read: ReadPart): Promise<Tensor> =>
  new Tensor(await defaultEngine().putParts(type, sharding, read))

/** The different parts of an array on a mesh, one copy of each; null for an array on one device. */
export async function shardsOf({ value }: Tensor): Promise<readonly ArrayShard[] | null> {
  if (!(value instanceof Concrete) || value.sharding === null) return null
  return (await value.buffer).shards ?? null
}

/** The values with sharding constraints, where a layout is given. */
export const constrained = (values: readonly Value[], layouts: readonly (NamedSharding | null)[]): Value[] =>
  values.map((v, i) => (layouts[i] ? ops.shardingConstraint(v, layouts[i]) : v))

/**
 * The partition of a program with these layouts of inputs and results; null if none is given. Throws a ShapeError if
 * they are on different meshes, or an array cannot be split as its layout says.
 */
export function partitionFor(
  program: Program,
  inputs: readonly (NamedSharding | null)[],
  outputs: readonly (NamedSharding | null)[],
): Partition | null {
  checkLayouts(program.inputs, inputs, 'argument')
  checkLayouts(program.outputs, outputs, 'result')
  const given = [...inputs, ...outputs].filter(s => s !== null)
  if (given.length === 0) return null
  const [{ mesh }] = given
  const other = given.find(s => !sameMesh(s.mesh, mesh))
  check(other === undefined, () => `jit: one function runs on one mesh, not on ${mesh} and ${other!.mesh}`)
  return { mesh, inputs: inputs.map(s => s?.spec ?? null), outputs: outputs.map(s => s?.spec ?? null) }
}

/** Throws a ShapeError if an array cannot be split as its layout says. `what`: what the arrays are to a function. */
function checkLayouts(arrays: readonly Atom[], layouts: readonly (NamedSharding | null)[], what: string): void {
  layouts.forEach((layout, i) => layout && partShape(arrays[i].aval.shape, layout, () => `jit: ${what} ${i}`))
}

/** As `shardShape`, with errors that begin with `where`. */
export function partShape(shape: readonly number[], layout: NamedSharding, where: () => string): number[] {
  try {
    return shardShape(shape, layout)
  } catch (error) {
    if (error instanceof Error) error.message = `${where()}: ${error.message}`
    throw error
  }
}

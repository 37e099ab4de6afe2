import * as ops from '../program/ops.js'
import { is, Program, Var } from '../program/program.js'
import type { Equation, ShardMapParams } from '../program/program.js'
import { NamedSharding, shardShape, wholeShape } from '../program/sharding.js'
import type { Mesh, PartitionSpec } from '../program/sharding.js'
import { mapSubprograms } from '../program/subprograms.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { simplify } from './simplify.js'
import { batchProgram } from './vmap.js'

/**
 * What a `shardMap` computes, as a program for one device: the body is batched over each axis of the mesh, with the
 * axis' name, by which collectives become operations along the batch. Operands and results are whole arrays.
 */
export function expandShardMap({ mesh, inSpecs, outSpecs, body }: ShardMapParams): Program {
  // Custom derivatives, which batching would have to batch too, are no longer needed: simplification drops them.
  let program = simplify(body)
  /** For each result, the mesh axes that its parts are stacked along, outermost first. */
  const stacked: string[][] = outSpecs.map(() => [])
  for (const axis of mesh.axes.toReversed()) {
    const names = (specs: readonly PartitionSpec[]): boolean[] => specs.map(spec => spec.axes.includes(axis.name))
    const batch = batchProgram(program, axis, names(inSpecs), names(outSpecs))
    program = batch.program
    batch.batched.forEach((isStacked, i) => {
      if (isStacked) stacked[i].unshift(axis.name)
    })
  }
  const types = body.inputs.map(({ aval: { dtype, shape } }, i) => ({
    dtype,
    shape: wholeShape(shape, new NamedSharding(mesh, inSpecs[i])),
  }))
  return traceClosed(types, inputs =>
    evalProgram(
      program,
      inputs.map((x, i) => toParts(x, mesh, inSpecs[i])),
    ).map((y, i) => fromParts(firstOf(y, stacked[i], outSpecs[i]), mesh, outSpecs[i])),
  )
}

/**
 * The axes of an array after each split dimension was reshaped to [mesh axes..., part]: the positions of the mesh axes,
 * in the mesh's order, then those of the parts of all dimensions.
 */
function partAxes(
  mesh: Mesh,
  spec: PartitionSpec,
  ndim: number,
): { shape: (part: readonly number[]) => number[]; perm: number[] } {
  const entries = ops.range(ndim).flatMap(dim => [...(spec.dims[dim] ?? []), dim])
  const order = [...mesh.axes.map(a => a.name).filter(name => entries.includes(name)), ...ops.range(ndim)]
  return {
    shape: part => entries.map(e => (typeof e === 'string' ? mesh.axisSize(e) : part[e])),
    perm: order.map(e => entries.indexOf(e)),
  }
}

/** From a whole array to [mesh axes that the spec names..., ...part]. */
function toParts(x: Value, mesh: Mesh, spec: PartitionSpec): Value {
  const { shape, perm } = partAxes(mesh, spec, x.ndim)
  return ops.transpose(ops.reshape(x, shape(shardShape(x.shape, new NamedSharding(mesh, spec)))), perm)
}

/** The inverse of `toParts`. */
function fromParts(x: Value, mesh: Mesh, spec: PartitionSpec): Value {
  const part = x.shape.slice(spec.axes.length)
  const { perm } = partAxes(mesh, spec, part.length)
  return ops.reshape(ops.transpose(x, ops.inversePermutation(perm)), wholeShape(part, new NamedSharding(mesh, spec)))
}

/** The part of the first device along axes that the spec does not name: the same as that of any other. */
function firstOf(x: Value, stacked: readonly string[], spec: PartitionSpec): Value {
  const extra = stacked.map(name => !spec.axes.includes(name))
  if (!extra.includes(true)) return x
  const limit = x.shape.map((d, i) => (extra[i] ? 1 : d))
  const first = ops.slice(
    x,
    x.shape.map(() => 0),
    limit,
  )
  return ops.reshape(
    first,
    limit.filter((_, i) => !extra[i]),
  )
}

/**
 * The program for one device: each `shardMap` is a call of its expansion, and sharding constraints do nothing, in
 * subprograms too.
 */
export function onOneDevice(program: Program): Program {
  const equations = program.equations.map(oneDevice)
  return equations.every((eqn, i) => eqn === program.equations[i])
    ? program
    : new Program(program.inputs, equations, program.outputs)
}

function oneDevice(eqn: Equation): Equation {
  if (is(eqn, 'shardMap')) return callOf(eqn, onOneDevice(expandShardMap(eqn.params)))
  if (is(eqn, 'shardingConstraint')) {
    const x = new Var(eqn.inputs[0].aval)
    return callOf(eqn, new Program([x], [], [x]))
  }
  return mapSubprograms(eqn, onOneDevice)
}

const callOf = ({ primitive, inputs, outputs }: Equation, program: Program): Equation =>
  ({ primitive: 'call', inputs, outputs, params: { name: primitive, program, remat: false } }) as unknown as Equation

/**
 * A program for a mesh of processes as the program of each process, on its parts of the arrays. What processes compute
 * together stays in it as collectives. It is the same program for all of them: a process's position on the mesh is an
 * input.
 */
import { SwitchyardError } from '../../../base/errors.js'
import * as ops from '../../program/ops.js'
import { isElementwise } from '../../program/primitives.js'
import { is, Lit, Program, Var } from '../../program/program.js'
import type { Atom, Equation } from '../../program/program.js'
import { NamedSharding, P, shardShape } from '../../program/sharding.js'
import type { Mesh, MeshAxis, Partition, PartitionSpec } from '../../program/sharding.js'
import { subprograms } from '../../program/subprograms.js'
import { bind, traceClosed } from '../../program/trace.js'
import { Literal } from '../../program/value.js'
import type { Value } from '../../program/value.js'
import { scanParts } from '../../transform/masks.js'
import { onOneDevice } from '../../transform/expand-shard-map.js'
import { communicates } from './collectives.js'

/** A program of one process. */
export interface LocalProgram {
  /**
   * Its inputs are the parts of the program's inputs, then this process's position along each axis of the mesh: int32
   * scalars.
   */
  readonly program: Program
  /** How the results are divided. */
  readonly outputs: readonly PartitionSpec[]
}

/** A value on a process: its part of it. */
interface Laid {
  readonly part: Value
  readonly spec: PartitionSpec
}

const WHOLE = P()
const isWhole = (spec: PartitionSpec): boolean => spec.dims.length === 0
const sameSpec = (a: PartitionSpec, b: PartitionSpec): boolean => String(a) === String(b)

/**
 * The program of each process. `shardMap` bodies run on parts. Element-wise equations and sums run on parts if an
 * operand is divided; each process computes all other equations on whole arrays. `inputs`: how the program's inputs are
 * divided. A result whose layout is not asked for stays as it is.
 */
export function localize(
  program: Program,
  inputs: readonly PartitionSpec[],
  { mesh, outputs }: Partition,
): LocalProgram {
  const types = program.inputs.map(({ aval: { dtype, shape } }, i) => ({
    dtype,
    shape: shardShape(shape, new NamedSharding(mesh, inputs[i])),
  }))
  const specs: PartitionSpec[] = []
  const local = traceClosed([...types, ...mesh.axes.map(() => ({ dtype: 'int32' as const, shape: [] }))], given => {
    const writer = new Writer(mesh, given.slice(types.length))
    const results = writer.outer(
      program,
      inputs.map((spec, i) => ({ part: given[i], spec })),
    )
    return results.map((r, i) => {
      const spec = outputs[i] ?? r.spec
      specs.push(spec)
      return writer.convert(r, spec)
    })
  })
  return { program: local, outputs: specs }
}

class Writer {
  private readonly positions: ReadonlyMap<string, Value>

  constructor(
    private readonly mesh: Mesh,
    positions: readonly Value[],
  ) {
    this.positions = new Map(mesh.axes.map((a, i) => [a.name, positions[i]]))
  }

  /** Equations outside of a `shardMap`. */
  outer(program: Program, given: readonly Laid[]): Laid[] {
    const env = new Map<Var, Laid>(program.inputs.map((v, i) => [v, given[i]]))
    const read = (a: Atom): Laid =>
      a instanceof Lit ? { part: new Literal(a.value, a.aval.dtype), spec: WHOLE } : env.get(a)!
    for (const eqn of program.equations) {
      const results = this.outerEquation(eqn, eqn.inputs.map(read))
      eqn.outputs.forEach((v, i) => env.set(v, results[i]))
    }
    return program.outputs.map(read)
  }

  private outerEquation(eqn: Equation, operands: readonly Laid[]): Laid[] {
    if (is(eqn, 'shardMap')) {
      const { inSpecs, outSpecs, body } = eqn.params
      const parts = operands.map((x, i) => this.convert(x, inSpecs[i]))
      return this.inner(onOneDevice(body), parts).map((part, i) => ({ part, spec: outSpecs[i] }))
    }
    if (is(eqn, 'shardingConstraint')) return [operands[0]]
    if ((is(eqn, 'call') || is(eqn, 'linearCall') || is(eqn, 'composite')) && hasShardMap(eqn))
      return this.outer(eqn.params.program, operands)
    refuseShardMapInside(eqn)
    const divided = operands.find(x => !isWhole(x.spec))
    if (divided && isElementwise(eqn.primitive)) {
      const { spec } = divided
      const parts = operands.map(x => this.convert(x, spec))
      return bind(eqn.primitive, parts, eqn.params).map(part => ({ part, spec }))
    }
    if (divided && is(eqn, 'reduceSum') && eqn.inputs[0].aval.dtype !== 'bool')
      return [this.sum(divided, eqn.params.axes)]
    const wholes = operands.map(x => this.convert(x, WHOLE))
    return bind(eqn.primitive, wholes, eqn.params).map(part => ({ part, spec: WHOLE }))
  }

  /** The sum over dimensions of a divided array. */
  private sum({ part, spec }: Laid, axes: readonly number[]): Laid {
    const over = axes.flatMap(dim => spec.dims[dim] ?? [])
    const total = ops.reduceSum(part, axes)
    const kept = part.shape.flatMap((_, dim) => (axes.includes(dim) ? [] : [spec.dims[dim] ?? []]))
    return {
      part:
        over.length === 0
          ? total
          : ops.psum(
              total,
              over.map(name => this.axis(name)),
            ),
      spec: P(...kept),
    }
  }

  /** Equations in a `shardMap`. */
  private inner(program: Program, given: readonly Value[]): Value[] {
    const env = new Map<Var, Value>(program.inputs.map((v, i) => [v, given[i]]))
    const read = (a: Atom): Value => (a instanceof Lit ? new Literal(a.value, a.aval.dtype) : env.get(a)!)
    for (const eqn of program.equations) {
      const results = this.innerEquation(eqn, eqn.inputs.map(read))
      eqn.outputs.forEach((v, i) => env.set(v, results[i]))
    }
    return program.outputs.map(read)
  }

  private innerEquation(eqn: Equation, operands: readonly Value[]): Value[] {
    if (is(eqn, 'axisIndex')) return [this.positions.get(eqn.params.axis.name)!]
    if (communicates(eqn)) return this.collective(eqn, operands)
    if (!subprograms(eqn).some(usesDevices)) return bind(eqn.primitive, operands, eqn.params)
    if (is(eqn, 'call') || is(eqn, 'linearCall') || is(eqn, 'composite'))
      return this.inner(eqn.params.program, operands)
    if (is(eqn, 'scan')) return this.unrolled(eqn, operands)
    throw new SwitchyardError(
      `a collective within ${eqn.primitive} does not run on several processes, which would have to agree on each turn: ` +
        'move it out of the loop or branch, or use the backend xla on one machine',
    )
  }

  /** A collective; along axes of one device there is nothing to do. */
  private collective(eqn: Equation, operands: readonly Value[]): Value[] {
    if (is(eqn, 'psum')) {
      const axes = eqn.params.axes.filter(a => a.size > 1)
      return axes.length === 0 ? [...operands] : [ops.psum(operands[0], axes)]
    }
    const isAlone = 'axis' in eqn.params && (eqn.params.axis as MeshAxis).size === 1
    return isAlone && !is(eqn, 'ppermute') ? [...operands] : bind(eqn.primitive, operands, eqn.params)
  }

  /** A loop with collectives in it, step by step. */
  private unrolled({ params }: Equation<'scan'>, operands: readonly Value[]): Value[] {
    const { body, length, reverse, numCarry } = params
    const [consts, first, rows] = scanParts(operands, params)
    let carry = first
    const made: Value[][] = []
    for (let step = 0; step < length; step++) {
      const at = reverse ? length - 1 - step : step
      const row = rows.map(x =>
        ops.reshape(
          ops.slice(x, [at, ...x.shape.slice(1).map(() => 0)], [at + 1, ...x.shape.slice(1)]),
          x.shape.slice(1),
        ),
      )
      const results = this.inner(body, [...consts, ...carry, ...row])
      carry = results.slice(0, numCarry)
      made[at] = results.slice(numCarry)
    }
    const stacked = body.outputs.slice(numCarry).map(({ aval: { dtype, shape } }, i) =>
      length === 0
        ? ops.full([0, ...shape], 0, dtype)
        : ops.concatenate(
            made.map(m => ops.reshape(m[i], [1, ...shape])),
            0,
          ),
    )
    return [...carry, ...stacked]
  }

  /** This process's part of a value, divided in another way. */
  convert(x: Laid, spec: PartitionSpec): Value {
    if (sameSpec(x.spec, spec)) return x.part
    return this.divide(this.whole(x), spec)
  }

  private whole({ part, spec }: Laid): Value {
    return spec.dims.reduce(
      (x, names, dim) => names.reduceRight((y, name) => ops.allGather(y, this.axis(name), dim), x),
      part,
    )
  }

  private divide(x: Value, spec: PartitionSpec): Value {
    if (isWhole(spec)) return x
    const shape = shardShape(x.shape, new NamedSharding(this.mesh, spec))
    const starts = shape.map((size, dim) => {
      const number = (spec.dims[dim] ?? []).reduce<Value | null>((n, name) => {
        const position = this.positions.get(name)!
        return n ? ops.add(ops.mul(n, this.axis(name).size), position) : position
      }, null)
      return number ? ops.mul(number, size) : new Literal(0, 'int32')
    })
    return ops.dynamicSlice(x, starts, shape)
  }

  private axis(name: string): MeshAxis {
    return this.mesh.axes.find(a => a.name === name)!
  }
}

const hasShardMap = (eqn: Equation): boolean =>
  is(eqn, 'shardMap') || is(eqn, 'shardingConstraint') || subprograms(eqn).some(p => p.equations.some(hasShardMap))

const usesDevices = (program: Program): boolean =>
  program.equations.some(eqn => communicates(eqn) || is(eqn, 'axisIndex') || subprograms(eqn).some(usesDevices))

/** Throws a SwitchyardError for a `shardMap` within a loop or branch. */
function refuseShardMapInside(eqn: Equation): void {
  if (!subprograms(eqn).some(p => p.equations.some(hasShardMap))) return
  throw new SwitchyardError(
    `a shardMap within ${eqn.primitive} does not run on several processes: make the loop or branch a part of the function that shardMap maps`,
  )
}

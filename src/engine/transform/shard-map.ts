/**
 * How `shardMap` is differentiated: its body is, and the results are a shardMap again. Devices are treated as what they
 * are, separate computations: an operand that they share is copied to each of them, so its cotangent is the sum of
 * theirs; a result that they all return is the same on each of them, so each gets an equal share of its cotangent.
 */
import * as ops from '../program/ops.js'
import { Program, Var } from '../program/program.js'
import type { Atom, Equation, PrimitiveParams } from '../program/program.js'
import { NamedSharding, PartitionSpec, wholeShape } from '../program/sharding.js'
import type { Mesh, MeshAxis } from '../program/sharding.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf, zeros } from './linear.js'
import { isPresent, present, reject, select, spread } from './masks.js'
import type { Mask } from './masks.js'
import type { JvpEval, JvpRule, ProgramTransposeRule, SplitEquation, SplitProgram, TransposeEval } from './rules.js'
import { varyingAxes } from './varying.js'

/** The mesh axes that a spec does not name: along them each device has all of the array. */
const unnamedAxes = (mesh: Mesh, spec: PartitionSpec): MeshAxis[] => mesh.axes.filter(a => !spec.axes.includes(a.name))

export const jvp =
  (jvpEval: JvpEval): JvpRule<'shardMap'> =>
  (primals, tangents, { mesh, inSpecs, outSpecs, body }) => {
    const active = isPresent(tangents)
    const types = body.inputs.map(v => v.aval)
    let reached: Mask = []
    const program = traceClosed([...types, ...select(types, active)], v => {
      const [outputs, dots] = jvpEval(body, v.slice(0, types.length), spread(active, v.slice(types.length)))
      reached = isPresent(dots)
      return [...outputs, ...present(dots)]
    })
    const results = bind('shardMap', [...primals, ...present(tangents)], {
      mesh,
      inSpecs: [...inSpecs, ...select(inSpecs, active)],
      outSpecs: [...outSpecs, ...select(outSpecs, reached)],
      body: program,
    })
    return [results.slice(0, reached.length), spread(reached, results.slice(reached.length))]
  }

export const transpose =
  (transposeEval: TransposeEval): ProgramTransposeRule<'shardMap'> =>
  (cotangents, operands, { mesh, inSpecs, outSpecs, body }) => {
    const isKnown = operands.map(o => !isLinear(o))
    const has = isPresent(cotangents)
    const known = reject(operands, operands.map(isLinear)).map(valueOf)
    const local = (values: readonly { aval: Var['aval'] }[]): Var['aval'][] => values.map(v => v.aval)
    const program = traceClosed([...local(select(body.inputs, isKnown)), ...local(select(body.outputs, has))], v => {
      const shares = select(outSpecs, has).map((spec, i) => {
        const copies = unnamedAxes(mesh, spec).reduce((n, a) => n * a.size, 1)
        const ct = v[known.length + i]
        return copies === 1 ? ct : ops.div(ct, copies)
      })
      const cts = transposeEval(body, spread(isKnown, v.slice(0, known.length)), spread(has, shares))
      return operands.flatMap((o, i) => {
        if (!isLinear(o)) return []
        const ct = cts[i]
        return ct ? ops.psum(ct, unnamedAxes(mesh, inSpecs[i])) : zeros(body.inputs[i].aval)
      })
    })
    const results = bind('shardMap', [...known, ...present(cotangents)], {
      mesh,
      inSpecs: [...select(inSpecs, isKnown), ...select(outSpecs, has)],
      outSpecs: reject(inSpecs, isKnown),
      body: program,
    })
    return spread(operands.map(isLinear), results)
  }

/**
 * Splits a shardMap into two: see `split`. A residual that varies along mesh axes leaves the known part with a new
 * dimension 0, which is split over these axes. A residual that is an operand is read by the unknown part itself.
 */
export function splitShardMap(split: SplitProgram, eqn: Equation<'shardMap'>, unknown: Mask): SplitEquation {
  const { mesh, inSpecs, outSpecs, body } = eqn.params
  const parts = split(body, unknown)
  const residuals = parts.unknown.inputs.slice(0, parts.numResiduals)
  const isOperand = residuals.map(r => body.inputs.includes(r))
  const computed = reject(residuals, isOperand)
  const numOutputs = parts.known.outputs.length - residuals.length
  const knownSpecs = reject(inSpecs, unknown)
  const varying = varyingAxes(
    new Program(parts.known.inputs, parts.known.equations, computed),
    knownSpecs.map(spec => new Set(spec.axes)),
  )
  const specs = varying.map(axes =>
    axes.size === 0
      ? new PartitionSpec()
      : new PartitionSpec(mesh.axes.map(a => a.name).filter(name => axes.has(name))),
  )
  /** A residual's shape on a device between the two parts. */
  const carried = computed.map((r, i) => (varying[i].size === 0 ? r.aval.shape : [1, ...r.aval.shape]))

  const knownBody = traceClosed(
    parts.known.inputs.map(v => v.aval),
    v => {
      const outputs = evalProgram(parts.known, v)
      const found = reject(outputs.slice(numOutputs), isOperand)
      return [...outputs.slice(0, numOutputs), ...found.map((r, i) => ops.reshape(r, carried[i]))]
    },
  )
  const stores = computed.map(
    (r, i) => new Var({ dtype: r.aval.dtype, shape: wholeShape(carried[i], new NamedSharding(mesh, specs[i])) }),
  )
  const operandsAt = select(residuals, isOperand).map(r => body.inputs.indexOf(r))
  const unknownInputs = parts.unknown.inputs.slice(residuals.length)
  const unknownBody = traceClosed(
    [
      ...operandsAt.map(i => body.inputs[i].aval),
      ...computed.map((r, i) => ({ dtype: r.aval.dtype, shape: carried[i] })),
      ...unknownInputs.map(u => u.aval),
    ],
    v => {
      const read = v.slice(0, operandsAt.length)[Symbol.iterator]()
      const stored = v.slice(operandsAt.length)[Symbol.iterator]()
      const values = residuals.map((r, i): Value => {
        const value = (isOperand[i] ? read : stored).next().value as Value
        return ops.reshape(value, r.aval.shape)
      })
      return evalProgram(parts.unknown, [...values, ...v.slice(residuals.length)])
    },
  )
  const equation = (inputs: readonly Atom[], params: PrimitiveParams['shardMap'], outputs: readonly Var[]): Equation =>
    ({ primitive: 'shardMap', inputs, params, outputs }) as unknown as Equation
  return {
    known: [
      equation(
        reject(eqn.inputs, unknown),
        {
          mesh,
          inSpecs: knownSpecs,
          outSpecs: [...reject(outSpecs, parts.unknownOutputs), ...specs],
          body: knownBody,
        },
        [...reject(eqn.outputs, parts.unknownOutputs), ...stores],
      ),
    ],
    unknown: equation(
      [...operandsAt.map(i => eqn.inputs[i]), ...stores, ...select(eqn.inputs, unknown)],
      {
        mesh,
        inSpecs: [...operandsAt.map(i => inSpecs[i]), ...specs, ...select(inSpecs, unknown)],
        outSpecs: select(outSpecs, parts.unknownOutputs),
        body: unknownBody,
      },
      select(eqn.outputs, parts.unknownOutputs),
    ),
  }
}

import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { jvpEval } from './jvp.js'
import { isPresent, present, select, spread } from './masks.js'
import type { Cotangent } from './rules.js'
import { split } from './split.js'
import { transposeEval } from './transpose.js'

/** A program split at its derivative. */
export interface Linearized {
  /** inputs -> outputs, then residuals. */
  primal: Program
  /** residuals, then the active inputs' tangents -> the active outputs' tangents. Linear in the tangents. */
  tangent: Program
  numResiduals: number
  /** Which outputs a tangent reaches. */
  activeOutputs: boolean[]
}

/** Splits a program into its value and its derivative, linear in the tangents of the `active` inputs. */
export function linearize(program: Program, active: readonly boolean[]): Linearized {
  const types = program.inputs.map(v => v.aval)
  const numOutputs = program.outputs.length
  let activeOutputs: boolean[] = []
  const joint = traceClosed([...types, ...select(types, active)], inputs => {
    const tangents = spread(active, inputs.slice(types.length))
    const [outputs, outTangents] = jvpEval(program, inputs.slice(0, types.length), tangents)
    activeOutputs = isPresent(outTangents)
    return [...outputs, ...present(outTangents)]
  })
  // Known: everything but the tangents.
  const { known, unknown, numResiduals } = split(
    joint,
    joint.inputs.map((_, i) => i >= types.length),
    joint.outputs.map((_, i) => i >= numOutputs),
  )
  return { primal: known, tangent: unknown, numResiduals, activeOutputs }
}

/** The reverse-mode derivative, ready to run: values of the outputs, and a function from cotangents to gradients. */
export function vjpEval(
  program: Program,
  inputs: readonly Value[],
  active: readonly boolean[],
): {
  outputs: Value[]
  pullback: (cotangents: readonly Cotangent[]) => Value[]
} {
  const { primal, tangent, activeOutputs } = linearize(program, active)
  const values = evalProgram(primal, inputs)
  const outputs = values.slice(0, program.outputs.length)
  const residuals = values.slice(program.outputs.length)
  const activeInputs = select(inputs, active)
  return {
    outputs,
    pullback: cotangents => {
      const known = [...residuals, ...activeInputs.map(() => null)]
      const gradients = transposeEval(tangent, known, select(cotangents, activeOutputs)).slice(residuals.length)
      return gradients.map((g, i) => g ?? ops.zerosLike(activeInputs[i]))
    },
  }
}

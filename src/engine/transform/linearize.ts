import * as ops from '../program/ops.js'
import type { Program } from '../program/program.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { jvpEval } from './jvp.js'
import { allOf, isPresent, present, select, spread } from './masks.js'
import type { Mask } from './masks.js'
import type { Cotangent, Tangent } from './rules.js'
import { split } from './split.js'
import { transposeEval } from './transpose.js'

/** A program split into its value and its derivative. */
export interface Linearized {
  /** inputs -> outputs, then residuals. */
  primal: Program
  /** residuals, then the active inputs' tangents -> the active outputs' tangents. Linear in the tangents. */
  tangent: Program
  numResiduals: number
  /** Which outputs a tangent reaches. */
  activeOutputs: boolean[]
}

/**
 * Splits a program into its value and its derivative, which is linear in the tangents of the `active` inputs. Outputs
 * that are not in the mask `wanted` get no tangent, and what only their tangents need is not computed.
 */
export function linearize(program: Program, active: Mask, wanted: Mask = allOf(program.outputs)): Linearized {
  const types = program.inputs.map(v => v.aval)
  const numOutputs = program.outputs.length
  let activeOutputs: boolean[] = []
  const joint = traceClosed([...types, ...select(types, active)], inputs => {
    const tangents = spread(active, inputs.slice(types.length))
    const [outputs, allTangents] = jvpEval(program, inputs.slice(0, types.length), tangents)
    const outTangents = allTangents.map((t, i) => (wanted[i] ? t : null))
    activeOutputs = isPresent(outTangents)
    return [...outputs, ...present(outTangents)]
  })
  // Partial evaluation with the tangents as the only unknown inputs.
  const { known, unknown, numResiduals } = split(
    joint,
    joint.inputs.map((_, i) => i >= types.length),
    joint.outputs.map((_, i) => i >= numOutputs),
  )
  return { primal: known, tangent: unknown, numResiduals, activeOutputs }
}

/**
 * The value of a program, and its reverse-mode derivative: `pullback` takes a cotangent for each output and returns the
 * cotangents of the active inputs. Outputs that are not in the mask `wanted` take no part in the derivative.
 */
export function vjpEval(
  program: Program,
  inputs: readonly Value[],
  active: Mask,
  wanted?: Mask,
): {
  outputs: Value[]
  pullback: (cotangents: readonly Cotangent[]) => Value[]
} {
  const { outputs, residuals, tangent, activeOutputs } = evalPrimal(program, inputs, active, wanted)
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

/**
 * The value of a program, and its forward-mode derivative at that point: `pushforward` takes a tangent for each active
 * input and returns the outputs' tangents (null: zero). It does not compute the value again.
 */
export function linearizeEval(
  program: Program,
  inputs: readonly Value[],
  active: Mask,
  wanted?: Mask,
): {
  outputs: Value[]
  pushforward: (tangents: readonly Value[]) => Tangent[]
} {
  const { outputs, residuals, tangent, activeOutputs } = evalPrimal(program, inputs, active, wanted)
  return {
    outputs,
    pushforward: tangents => spread(activeOutputs, evalProgram(tangent, [...residuals, ...tangents])),
  }
}

/** Linearizes a program and computes its value: the outputs, and the residuals that the tangent program needs. */
function evalPrimal(
  program: Program,
  inputs: readonly Value[],
  active: Mask,
  wanted?: Mask,
): Pick<Linearized, 'tangent' | 'activeOutputs'> & { outputs: Value[]; residuals: Value[] } {
  const { primal, tangent, activeOutputs } = linearize(program, active, wanted)
  const values = evalProgram(primal, inputs)
  const n = program.outputs.length
  return { outputs: values.slice(0, n), residuals: values.slice(n), tangent, activeOutputs }
}

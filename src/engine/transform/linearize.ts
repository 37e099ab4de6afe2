import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { jvpEval } from './jvp.js'
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

const avalsOf = (vars: readonly Atom[]): Aval[] => vars.map(v => v.aval)

/** Splits a program into its value and its derivative, linear in the tangents of the `active` inputs. */
export function linearize(program: Program, active: readonly boolean[]): Linearized {
  const activeOutputs: boolean[] = []
  const numInputs = program.inputs.length
  const joint = traceClosed([...avalsOf(program.inputs), ...avalsOf(program.inputs.filter((_, i) => active[i]))], inputs => {
    let next = numInputs
    const tangents = program.inputs.map((_, i) => (active[i] ? inputs[next++] : null))
    const [outputs, outTangents] = jvpEval(program, inputs.slice(0, numInputs), tangents)
    activeOutputs.push(...outTangents.map(t => t !== null))
    return [...outputs, ...outTangents.filter(t => t !== null)]
  })

  // The tangent part is whatever depends on a tangent input; the values it takes from the rest are the residuals.
  const primalInputs = joint.inputs.slice(0, numInputs)
  const tangentInputs = joint.inputs.slice(numInputs)
  const linear = new Set<Var>(tangentInputs)
  const [primalEqns, tangentEqns]: [Equation[], Equation[]] = [[], []]
  for (const eqn of joint.equations) {
    const isLinear = eqn.inputs.some(a => a instanceof Var && linear.has(a))
    if (isLinear) eqn.outputs.forEach(v => linear.add(v))
    ;(isLinear ? tangentEqns : primalEqns).push(eqn)
  }
  const outTangents = joint.outputs.slice(program.outputs.length)
  const residuals = new Set<Var>()
  for (const a of [...tangentEqns.flatMap(e => e.inputs), ...outTangents]) if (a instanceof Var && !linear.has(a)) residuals.add(a)
  return {
    primal: new Program(primalInputs, primalEqns, [...joint.outputs.slice(0, program.outputs.length), ...residuals]),
    tangent: new Program([...residuals, ...tangentInputs], tangentEqns, outTangents),
    numResiduals: residuals.size,
    activeOutputs,
  }
}

/** The reverse-mode derivative, ready to run: values of the outputs, and a function from cotangents to gradients. */
export function vjpEval(program: Program, inputs: readonly Value[], active: readonly boolean[]): {
  outputs: Value[]
  pullback: (cotangents: readonly Value[]) => Value[]
} {
  const { primal, tangent, activeOutputs } = linearize(program, active)
  const values = evalProgram(primal, inputs)
  const outputs = values.slice(0, program.outputs.length)
  const residuals = values.slice(program.outputs.length)
  const activeInputs = inputs.filter((_, i) => active[i])
  return {
    outputs,
    pullback: cotangents => {
      const known = [...residuals, ...activeInputs.map(() => null)]
      const gradients = transposeEval(tangent, known, cotangents.filter((_, i) => activeOutputs[i])).slice(residuals.length)
      return gradients.map((g, i) => g ?? ops.zerosLike(activeInputs[i]))
    },
  }
}

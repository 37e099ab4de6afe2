/**
 * A composite's own reverse-mode derivative. Differentiated, the composite becomes its value and a `linearCall` from
 * the operands' tangents: forwards that is the derivative of the decomposition, backwards the custom rule.
 */
import { isFloat } from '../../base/dtypes.js'
import { SwitchyardError } from '../../base/errors.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { PrimitiveParams, Program, VjpPrograms } from '../program/program.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf } from './linear.js'
import type { Cotangent, JvpEval, JvpRule, LinearOperand, Tangent } from './rules.js'

/** Through the decomposition, unless the composite has its own derivative. */
export const compositeJvp =
  (jvpEval: JvpEval): JvpRule<'composite'> =>
  (primals, tangents, params) => {
    const { name, program, vjp } = params
    if (!vjp) return jvpEval(program, primals, tangents)
    const active = ops.range(primals.length).filter(i => tangents[i] !== null)
    checkArguments(name, vjp, primals, tangents)

    const { outputs, residuals } = value(primals, params, vjp)
    const known = [...residuals, ...primals]
    const knownAvals = known.map(v => v.aval)
    const floats = ops.range(outputs.length).filter(i => isFloat(outputs[i].dtype))
    const forward = traceClosed([...knownAvals, ...active.map(i => primals[i].aval)], v => {
      const dots = v.slice(known.length)
      const spread = primals.map((_, i): Tangent => (active.includes(i) ? dots[active.indexOf(i)] : null))
      const [, outDots] = jvpEval(program, v.slice(residuals.length, known.length), spread)
      return floats.map(i => outDots[i] ?? ops.zerosLike(outputs[i]))
    })
    const transpose = traceClosed([...knownAvals, ...floats.map(i => outputs[i].aval)], v => {
      const cts = v.slice(known.length)
      const spread = outputs.map((y, i) => (floats.includes(i) ? cts[floats.indexOf(i)] : ops.zerosLike(y)))
      const gradients = evalProgram(vjp.backward, [...v.slice(0, residuals.length), ...spread])
      return active.map(i => gradients[i])
    })
    const dots = bind('linearCall', [...known, ...active.map(i => tangents[i]!)], {
      name,
      program: forward,
      transpose,
      numResiduals: known.length,
    })
    return [outputs, outputs.map((_, i) => (floats.includes(i) ? dots[floats.indexOf(i)] : null))]
  }

function checkArguments(
  name: string,
  { backward }: VjpPrograms,
  primals: readonly Value[],
  tangents: readonly Tangent[],
): void {
  const closedOver = primals.find((_, i) => i >= backward.outputs.length && tangents[i] !== null)
  if (!closedOver) return
  throw new SwitchyardError(
    `${name} has its own derivative, and closes over an array ${formatAval(closedOver.aval)} that is being differentiated: pass it as an argument`,
  )
}

/**
 * The outputs, and what the backward pass needs. When that is made of inputs and outputs alone, the value is still the
 * composite that a backend may know; otherwise it is the composite `name.forward`, which returns the residuals too.
 */
function value(
  primals: readonly Value[],
  params: PrimitiveParams['composite'],
  { forward }: VjpPrograms,
): { outputs: Value[]; residuals: Value[] } {
  const numOutputs = params.program.outputs.length
  const sources = forward.outputs.slice(numOutputs).map(r => {
    const input = (forward.inputs as Program['outputs']).indexOf(r)
    return input >= 0 ? { input } : { output: forward.outputs.indexOf(r) }
  })
  if (sources.every(s => s.input !== undefined || s.output < numOutputs)) {
    const outputs = bind('composite', primals, params)
    return { outputs, residuals: sources.map(s => (s.input !== undefined ? primals[s.input] : outputs[s.output])) }
  }
  const all = bind('composite', primals, { name: `${params.name}.forward`, program: forward })
  return { outputs: all.slice(0, numOutputs), residuals: all.slice(numOutputs) }
}

/** The custom rule: `transpose` of the residuals and the outputs' cotangents. */
export function linearCallTranspose(
  cotangents: readonly Cotangent[],
  operands: readonly LinearOperand[],
  { transpose, numResiduals, program }: PrimitiveParams['linearCall'],
): Cotangent[] {
  const residuals = operands.slice(0, numResiduals)
  const cts = cotangents.map((ct, i) => ct ?? ops.full(program.outputs[i].aval.shape, 0, program.outputs[i].aval.dtype))
  const gradients = evalProgram(transpose, [...residuals.map(valueOf), ...cts])
  return [...residuals.map(() => null), ...gradients.map((g, i) => (isLinear(operands[numResiduals + i]) ? g : null))]
}

/**
 * Derivatives of composites: the composite's custom derivative, if it has one, else that of its program. jvp of a
 * composite with a custom reverse-mode derivative writes the composite itself, for the value, and a `linearCall` of the
 * operands' tangents. Applied, the `linearCall` computes the derivative of the composite's program; transposed, it is
 * the custom rule.
 */
import { isFloat } from '../../base/dtypes.js'
import { SwitchyardError } from '../../base/errors.js'
import { formatAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { PrimitiveParams, Program, VjpPrograms } from '../program/program.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf } from './linear.js'
import { spread } from './masks.js'
import type { Cotangent, JvpEval, JvpRule, LinearOperand, Tangent } from './rules.js'

/** The jvp rule of composites. */
export const compositeJvp =
  (jvpEval: JvpEval): JvpRule<'composite'> =>
  (primals, tangents, params) => {
    const { name, program, vjp, jvp } = params
    if (jvp) return customJvp(name, jvp, program.outputs.length, primals, tangents)
    if (!vjp) return jvpEval(program, primals, tangents)
    const active = ops.range(primals.length).filter(i => tangents[i] !== null)
    checkArguments(name, vjp.backward.outputs.length, primals, tangents)

    const { outputs, residuals } = valueAndResiduals(primals, params, vjp)
    const known = [...residuals, ...primals]
    const knownAvals = known.map(v => v.aval)
    const floats = ops.range(outputs.length).filter(i => isFloat(outputs[i].dtype))
    const forward = traceClosed([...knownAvals, ...active.map(i => primals[i].aval)], v => {
      const dots = v.slice(known.length)
      const inDots = primals.map((_, i): Tangent => (active.includes(i) ? dots[active.indexOf(i)] : null))
      const [, outDots] = jvpEval(program, v.slice(residuals.length, known.length), inDots)
      return floats.map(i => outDots[i] ?? ops.zerosLike(outputs[i]))
    })
    const transpose = traceClosed([...knownAvals, ...floats.map(i => outputs[i].aval)], v => {
      const cts = v.slice(known.length)
      const allCts = outputs.map((y, i) => (floats.includes(i) ? cts[floats.indexOf(i)] : ops.zerosLike(y)))
      const gradients = evalProgram(vjp.backward, [...v.slice(0, residuals.length), ...allCts])
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

/**
 * Inlines the custom `jvp` program. It takes a tangent for each declared floating-point input; the inputs after them,
 * which the function captured, have none.
 */
function customJvp(
  name: string,
  jvp: Program,
  numOutputs: number,
  primals: readonly Value[],
  tangents: readonly Tangent[],
): [Value[], Tangent[]] {
  const numTangents = jvp.inputs.length - primals.length
  const floats = ops.range(primals.length).filter(i => isFloat(primals[i].dtype))
  const declared = floats.slice(0, numTangents)
  checkArguments(name, (declared.at(-1) ?? -1) + 1, primals, tangents)
  const dots = declared.map(i => tangents[i] ?? ops.zerosLike(primals[i]))
  const results = evalProgram(jvp, [...primals, ...dots])
  const outputs = results.slice(0, numOutputs)
  return [
    outputs,
    spread(
      outputs.map(y => isFloat(y.dtype)),
      results.slice(numOutputs),
    ),
  ]
}

/** Throws if an input after the declared ones, which the function captured, has a tangent. */
function checkArguments(
  name: string,
  numDeclared: number,
  primals: readonly Value[],
  tangents: readonly Tangent[],
): void {
  const closedOver = primals.find((_, i) => i >= numDeclared && tangents[i] !== null)
  if (!closedOver) return
  throw new SwitchyardError(
    `${name} has its own derivative, and closes over an array ${formatAval(closedOver.aval)} that is being differentiated: ` +
      'pass it as an argument',
  )
}

/**
 * The outputs, and the residuals for the backward pass. If every residual is an input or an output, the composite
 * itself is applied, for which a backend may have a kernel. Otherwise a composite named `name.forward` returns the
 * residuals too.
 */
function valueAndResiduals(
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

/**
 * The transposition rule of `linearCall`: applies its `transpose` program to the residuals and the outputs' cotangents.
 */
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

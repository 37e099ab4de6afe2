/** Batching rules of the primitives that carry programs. */
import { isFloat } from '../../base/dtypes.js'
import * as ops from '../program/ops.js'
import type { Program, VjpPrograms } from '../program/program.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { lead, mapped } from './batching.js'
import { allOf, either, scanParts, settle } from './masks.js'
import type { Mask } from './masks.js'
import type { BatchAxis, Batched, BatchProgram, BatchRule } from './rules.js'

const flags = (inputs: readonly Batched[]): boolean[] => inputs.map(x => x.batched)
const values = (inputs: readonly Batched[]): Value[] => inputs.map(x => x.value)
const zip = (outputs: readonly Value[], batched: Mask): Batched[] =>
  outputs.map((value, i) => ({ value, batched: batched[i] }))
/** The initial carry, with a batch axis where the loop needs one. */
const startOf = (carry: readonly Batched[], carried: Mask, { size }: BatchAxis): Value[] =>
  carry.map((c, i) => (carried[i] ? lead(c, size) : c.value))

export const call =
  (batchProgram: BatchProgram): BatchRule<'call'> =>
  (inputs, params, axis) => {
    const { program, batched } = batchProgram(params.program, axis, flags(inputs))
    return zip(bind('call', values(inputs), { ...params, program }), batched)
  }

/**
 * A batched composite computes another function than the original, so it is renamed `vmap(name)`, lest a backend run
 * the original's kernel. With a custom derivative all outputs are mapped, because all of its cotangents or tangents
 * are.
 */
export const composite =
  (batchProgram: BatchProgram): BatchRule<'composite'> =>
  (inputs, { name, program, vjp, jvp }, axis) => {
    const batched = flags(inputs)
    const isCustom = vjp !== undefined || jvp !== undefined
    const outputs = batchProgram(program, axis, batched, isCustom ? allOf(program.outputs) : [])
    const params = {
      name: `vmap(${name})`,
      program: outputs.program,
      ...(vjp && { vjp: batchVjp(batchProgram, vjp, axis, batched, program.outputs.length) }),
      ...(jvp && { jvp: batchJvp(batchProgram, jvp, axis, inputs) }),
    }
    return zip(bind('composite', values(inputs), params), outputs.batched)
  }

/**
 * The batched `jvp` program. A tangent is mapped if its input is. Captured inputs, which come last, have no tangents.
 */
function batchJvp(batchProgram: BatchProgram, jvp: Program, axis: BatchAxis, inputs: readonly Batched[]): Program {
  const floats = inputs.filter(x => isFloat(x.value.dtype)).slice(0, jvp.inputs.length - inputs.length)
  return batchProgram(jvp, axis, [...flags(inputs), ...flags(floats)], allOf(jvp.outputs)).program
}

function batchVjp(
  batchProgram: BatchProgram,
  { forward, backward }: VjpPrograms,
  axis: BatchAxis,
  batched: Mask,
  numOutputs: number,
): VjpPrograms {
  const batchedForward = batchProgram(
    forward,
    axis,
    batched,
    forward.outputs.map((_, i) => i < numOutputs),
  )
  const residuals = batchedForward.batched.slice(numOutputs)
  return {
    forward: batchedForward.program,
    backward: batchBackward(
      batchProgram,
      backward,
      axis,
      [...residuals, ...allOf(forward.outputs.slice(0, numOutputs))],
      batched,
    ),
  }
}

/**
 * Batches a program that returns the operands' cotangents. Those of operands that are not mapped are summed over the
 * batch.
 */
function batchBackward(
  batchProgram: BatchProgram,
  backward: Program,
  axis: BatchAxis,
  inputs: Mask,
  operands: Mask,
): Program {
  const { program } = batchProgram(backward, axis, inputs, allOf(backward.outputs))
  return traceClosed(
    program.inputs.map(v => v.aval),
    v => evalProgram(program, v).map((gradient, i) => (operands[i] ? gradient : ops.reduceSum(gradient, [0]))),
  )
}

export const linearCall =
  (batchProgram: BatchProgram): BatchRule<'linearCall'> =>
  (inputs, { name, program, transpose, numResiduals }, axis) => {
    const batched = flags(inputs)
    const outputs = batchProgram(program, axis, batched, allOf(program.outputs))
    const backward = batchBackward(
      batchProgram,
      transpose,
      axis,
      [...batched.slice(0, numResiduals), ...allOf(program.outputs)],
      batched.slice(numResiduals),
    )
    return zip(
      bind('linearCall', values(inputs), {
        name: `vmap(${name})`,
        program: outputs.program,
        transpose: backward,
        numResiduals,
      }),
      outputs.batched,
    )
  }

/** A carry is mapped if its initial value is, or if the body makes it so: see `settle`. */
export const scan =
  (batchProgram: BatchProgram): BatchRule<'scan'> =>
  (inputs, params, axis) => {
    const { body, numCarry } = params
    const [consts, carry, xs] = scanParts(inputs, params)
    const { carried, program, batched } = settle(flags(carry), mask => {
      const tried = batchProgram(body, axis, [...flags(consts), ...mask, ...flags(xs)], mask)
      return { ...tried, after: tried.batched.slice(0, numCarry) }
    })
    const start = startOf(carry, carried, axis)
    const rows = xs.map(x => (x.batched ? ops.moveAxis(x.value, 0, 1) : x.value))
    const outputs = bind('scan', [...values(consts), ...start, ...rows], { ...params, body: program })
    return zip(outputs, batched).map((y, i) => (i >= numCarry && y.batched ? mapped(ops.moveAxis(y.value, 1, 0)) : y))
  }

/**
 * If the condition differs between examples, the loop runs until it is false for all; finished examples keep their
 * carry.
 */
export const whileLoop =
  (batchProgram: BatchProgram): BatchRule<'while'> =>
  (inputs, { condition, body, numConditionConsts: n, numBodyConsts: m }, axis) => {
    const [conditionConsts, bodyConsts, carry] = [inputs.slice(0, n), inputs.slice(n, n + m), inputs.slice(n + m)]
    const { carried } = settle(flags(carry), mask => ({
      after: either(mask, batchProgram(body, axis, [...flags(bodyConsts), ...mask]).batched),
    }))
    const test = batchProgram(condition, axis, [...flags(conditionConsts), ...carried])
    if (!test.batched[0]) {
      const start = startOf(carry, carried, axis)
      const { program } = batchProgram(body, axis, [...flags(bodyConsts), ...carried], carried)
      const outputs = bind('while', [...values(conditionConsts), ...values(bodyConsts), ...start], {
        condition: test.program,
        body: program,
        numConditionConsts: n,
        numBodyConsts: m,
      })
      return zip(outputs, carried)
    }
    const all = allOf(carry)
    const each = batchProgram(condition, axis, [...flags(conditionConsts), ...all], [true]).program
    const step = batchProgram(body, axis, [...flags(bodyConsts), ...all], all).program
    const anyLeft = traceClosed(
      each.inputs.map(v => v.aval),
      v => [ops.reduceOr(evalProgram(each, v)[0], [0])],
    )
    // The guarded body also takes the condition's constants, to see which examples are still running.
    const types = [...each.inputs.slice(0, n), ...step.inputs].map(v => v.aval)
    const guarded = traceClosed(types, v => {
      const current = v.slice(n + m)
      const running = evalProgram(each, [...v.slice(0, n), ...current])[0]
      return evalProgram(step, v.slice(n)).map((next, i) =>
        ops.select(ops.broadcastInDim(running, next.shape, [0]), next, current[i]),
      )
    })
    const outputs = bind(
      'while',
      [
        ...values(conditionConsts),
        ...values(conditionConsts),
        ...values(bodyConsts),
        ...carry.map(c => lead(c, axis.size)),
      ],
      { condition: anyLeft, body: guarded, numConditionConsts: n, numBodyConsts: n + m },
    )
    return outputs.map(mapped)
  }

/**
 * If the index differs between examples, all branches are applied, and each example selects the results of its branch.
 */
export const cond =
  (batchProgram: BatchProgram): BatchRule<'cond'> =>
  ([index, ...operands], { branches }, axis) => {
    if (!index.batched) {
      const anyMapped = branches.map(b => batchProgram(b, axis, flags(operands)).batched).reduce(either)
      const programs = branches.map(b => batchProgram(b, axis, flags(operands), anyMapped).program)
      return zip(bind('cond', [index.value, ...values(operands)], { branches: programs }), anyMapped)
    }
    const results = branches.map(b =>
      evalProgram(batchProgram(b, axis, flags(operands), allOf(b.outputs)).program, values(operands)),
    )
    // An index below 0 selects the first branch, one that is too large the last: `cond` clamps it likewise.
    return results[0].map((first, i) =>
      mapped(
        results.slice(1).reduce((chosen, branch, k) => {
          const later = ops.broadcastInDim(ops.ge(index.value, k + 1), first.shape, [0])
          return ops.select(later, branch[i], chosen)
        }, first),
      ),
    )
  }

/** Batching of the primitives that carry programs. */
import * as ops from '../program/ops.js'
import type { Program, VjpPrograms } from '../program/program.js'
import { bind, evalProgram, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { lead, mapped } from './batching.js'
import type { Batched, BatchProgram, BatchRule } from './rules.js'

const flags = (inputs: readonly Batched[]): boolean[] => inputs.map(x => x.batched)
const values = (inputs: readonly Batched[]): Value[] => inputs.map(x => x.value)
const zip = (outputs: readonly Value[], batched: readonly boolean[]): Batched[] =>
  outputs.map((value, i) => ({ value, batched: batched[i] }))
const all = (list: readonly unknown[]): boolean[] => list.map(() => true)
const either = (a: readonly boolean[], b: readonly boolean[]): boolean[] => a.map((x, i) => x || b[i])
const same = (a: readonly boolean[], b: readonly boolean[]): boolean => a.every((x, i) => x === b[i])

export const call =
  (batchProgram: BatchProgram): BatchRule<'call'> =>
  (inputs, params, size) => {
    const { program, batched } = batchProgram(params.program, size, flags(inputs))
    return zip(bind('call', values(inputs), { ...params, program }), batched)
  }

/** A batched composite is another function, so it gets another name, that no backend takes for the original. */
export const composite =
  (batchProgram: BatchProgram): BatchRule<'composite'> =>
  (inputs, { name, program, vjp }, size) => {
    const outputs = batchProgram(program, size, flags(inputs), vjp && all(program.outputs))
    const params = { name: `vmap(${name})`, program: outputs.program }
    const custom = vjp && { vjp: batchVjp(batchProgram, vjp, size, flags(inputs), program.outputs.length) }
    return zip(bind('composite', values(inputs), { ...params, ...custom }), outputs.batched)
  }

function batchVjp(
  batchProgram: BatchProgram,
  { forward, backward }: VjpPrograms,
  size: number,
  batched: readonly boolean[],
  numOutputs: number,
): VjpPrograms {
  const ahead = batchProgram(
    forward,
    size,
    batched,
    forward.outputs.map((_, i) => i < numOutputs),
  )
  const residuals = ahead.batched.slice(numOutputs)
  return {
    forward: ahead.program,
    backward: batchBackward(
      batchProgram,
      backward,
      size,
      [...residuals, ...all(forward.outputs.slice(0, numOutputs))],
      batched,
    ),
  }
}

/** A program that returns cotangents: those of operands that are not mapped are summed over the batch. */
function batchBackward(
  batchProgram: BatchProgram,
  backward: Program,
  size: number,
  inputs: readonly boolean[],
  operands: readonly boolean[],
): Program {
  const { program } = batchProgram(backward, size, inputs, all(backward.outputs))
  return traceClosed(
    program.inputs.map(v => v.aval),
    v => evalProgram(program, v).map((gradient, i) => (operands[i] ? gradient : ops.reduceSum(gradient, [0]))),
  )
}

export const linearCall =
  (batchProgram: BatchProgram): BatchRule<'linearCall'> =>
  (inputs, { name, program, transpose, numResiduals }, size) => {
    const batched = flags(inputs)
    const outputs = batchProgram(program, size, batched, all(program.outputs))
    const backward = batchBackward(
      batchProgram,
      transpose,
      size,
      [...batched.slice(0, numResiduals), ...all(program.outputs)],
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

/** A carry is mapped if it enters so, or if the body makes it so: found by repetition. */
export const scan =
  (batchProgram: BatchProgram): BatchRule<'scan'> =>
  (inputs, params, size) => {
    const { body, numConsts, numCarry } = params
    const [consts, carry, xs] = [
      inputs.slice(0, numConsts),
      inputs.slice(numConsts, numConsts + numCarry),
      inputs.slice(numConsts + numCarry),
    ]
    const settle = (carried: boolean[]): { carried: boolean[]; body: ReturnType<BatchProgram> } => {
      const tried = batchProgram(body, size, [...flags(consts), ...carried, ...flags(xs)], carried)
      const next = tried.batched.slice(0, numCarry)
      return same(next, carried) ? { carried, body: tried } : settle(next)
    }
    const settled = settle(flags(carry))
    const start = carry.map((c, i) => (settled.carried[i] ? lead(c, size) : c.value))
    const rows = xs.map(x => (x.batched ? ops.moveAxis(x.value, 0, 1) : x.value))
    const outputs = bind('scan', [...values(consts), ...start, ...rows], { ...params, body: settled.body.program })
    return zip(outputs, settled.body.batched).map((y, i) =>
      i >= numCarry && y.batched ? mapped(ops.moveAxis(y.value, 1, 0)) : y,
    )
  }

/** With a condition for each example, the loop runs until all are done, and those that are done keep their carry. */
export const whileLoop =
  (batchProgram: BatchProgram): BatchRule<'while'> =>
  (inputs, { condition, body, numConditionConsts: n, numBodyConsts: m }, size) => {
    const [conditionConsts, bodyConsts, carry] = [inputs.slice(0, n), inputs.slice(n, n + m), inputs.slice(n + m)]
    const settle = (carried: boolean[]): boolean[] => {
      const next = either(carried, batchProgram(body, size, [...flags(bodyConsts), ...carried]).batched)
      return same(next, carried) ? carried : settle(next)
    }
    const carried = settle(flags(carry))
    const test = batchProgram(condition, size, [...flags(conditionConsts), ...carried])
    if (!test.batched[0]) {
      const start = carry.map((c, i) => (carried[i] ? lead(c, size) : c.value))
      const { program } = batchProgram(body, size, [...flags(bodyConsts), ...carried], carried)
      const outputs = bind('while', [...values(conditionConsts), ...values(bodyConsts), ...start], {
        condition: test.program,
        body: program,
        numConditionConsts: n,
        numBodyConsts: m,
      })
      return zip(outputs, carried)
    }
    const whole = all(carry)
    const each = batchProgram(condition, size, [...flags(conditionConsts), ...whole], [true]).program
    const step = batchProgram(body, size, [...flags(bodyConsts), ...whole], whole).program
    const anyLeft = traceClosed(
      each.inputs.map(v => v.aval),
      v => [ops.reduceOr(evalProgram(each, v)[0], [0])],
    )
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
      [...values(conditionConsts), ...values(conditionConsts), ...values(bodyConsts), ...carry.map(c => lead(c, size))],
      { condition: anyLeft, body: guarded, numConditionConsts: n, numBodyConsts: n + m },
    )
    return outputs.map(mapped)
  }

/** With an index for each example, every branch is applied and each example selects its own. */
export const cond =
  (batchProgram: BatchProgram): BatchRule<'cond'> =>
  ([index, ...operands], { branches }, size) => {
    if (!index.batched) {
      const natural = branches.map(b => batchProgram(b, size, flags(operands)).batched).reduce(either)
      const programs = branches.map(b => batchProgram(b, size, flags(operands), natural).program)
      return zip(bind('cond', [index.value, ...values(operands)], { branches: programs }), natural)
    }
    const results = branches.map(b =>
      evalProgram(batchProgram(b, size, flags(operands), all(b.outputs)).program, values(operands)),
    )
    return results[0].map((first, i) =>
      mapped(
        results.slice(1).reduce((chosen, branch, k) => {
          const later = ops.broadcastInDim(ops.ge(index.value, k + 1), first.shape, [0])
          return ops.select(later, branch[i], chosen)
        }, first),
      ),
    )
  }

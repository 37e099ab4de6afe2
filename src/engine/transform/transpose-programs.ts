/** Transposition rules of the primitives that carry programs. */
import { isFloat } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import * as ops from '../program/ops.js'
import { bind, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf, zeros } from './linear.js'
import { isPresent, present, scanParts, select, spread } from './masks.js'
import type { LinearOperand, ProgramTransposeRule, TransposeEval } from './rules.js'

const isKnown = (operands: readonly LinearOperand[]): boolean[] => operands.map(o => !isLinear(o))
const known = (operands: readonly LinearOperand[]): Value[] => operands.filter(o => !isLinear(o)).map(valueOf)

/**
 * Inlines the transposed program. This computes the known values of a call with `remat` again. A backend runs equations
 * in any order that their data allows, and would else compute the values of all calls at once and hold them. So the
 * computation waits for the cotangent, and the cotangents of the late operands, from which the backward pass goes on,
 * wait for those of the other operands, which read the values.
 */
export const call =
  (transposeEval: TransposeEval): ProgramTransposeRule<'call'> =>
  (cotangents, operands, { program, numLate = 0 }) => {
    // The tangents of the late operands are the first of the linear ones.
    const linear = operands.flatMap((o, i) => (isLinear(o) ? [i] : []))
    const late = new Set([...ops.range(numLate), ...linear.slice(0, numLate)])
    const [largest] = present(cotangents).sort((a, b) => sizeOf(b.aval.shape) - sizeOf(a.aval.shape))
    const results = transposeEval(
      program,
      operands.map((o, i) => (isLinear(o) ? null : late.has(i) ? after(o.known, [largest]) : o.known)),
      cotangents,
    )
    const others = present(results.filter((_, i) => !late.has(i)))
    return results.map((ct, i) => (ct && late.has(i) ? after(ct, others) : ct))
  }

/**
 * x, as an array that cannot be computed before other arrays: a slice of all of x, whose start depends on one element
 * of each of them.
 */
function after(x: Value, others: readonly Value[]): Value {
  const { shape } = x.aval
  const read = others.filter(o => isFloat(o.dtype) && sizeOf(o.aval.shape) > 0)
  if (shape.length === 0 || read.length === 0) return x
  const flags = read.map(o => {
    const first = ops.slice(
      o,
      o.aval.shape.map(() => 0),
      o.aval.shape.map(() => 1),
    )
    return ops.convertElementType(ops.isFinite(ops.reshape(first, [])), 'int32')
  })
  // A slice of all of an axis begins at 0, whatever its start is.
  const start = flags.reduce((a, b) => ops.add(a, b))
  return ops.dynamicSlice(
    x,
    shape.map(() => start),
    shape,
  )
}

/** A cond of the transposed branches. A branch that does not use an operand returns zeros as its cotangent. */
export const cond =
  (transposeEval: TransposeEval): ProgramTransposeRule<'cond'> =>
  (cotangents, [index, ...operands], { branches }) => {
    const inputs = known(operands)
    const linear = operands.filter(isLinear).map(o => o.linear)
    const transposed = branches.map(branch =>
      traceClosed(
        [...inputs, ...present(cotangents)].map(v => v.aval),
        v => {
          const values = spread(isKnown(operands), v.slice(0, inputs.length))
          const cts = transposeEval(branch, values, spread(isPresent(cotangents), v.slice(inputs.length)))
          return select(cts, operands.map(isLinear)).map((ct, i) => ct ?? zeros(linear[i]))
        },
      ),
    )
    const results = bind('cond', [valueOf(index), ...inputs, ...present(cotangents)], { branches: transposed })
    return [null, ...spread(operands.map(isLinear), results)]
  }

/**
 * A scan in the opposite direction. Its carry holds the carry's cotangents and the sums so far of the constants'
 * cotangents. It scans over the cotangents of the stacked outputs, and stacks the cotangents of the scanned operands.
 */
export const scan =
  (transposeEval: TransposeEval): ProgramTransposeRule<'scan'> =>
  (cotangents, operands, params) => {
    const { body, numConsts, numCarry, reverse } = params
    const [consts, carry, xs] = scanParts(operands, params)
    const [carryCts, yCts] = [cotangents.slice(0, numCarry), cotangents.slice(numCarry)]
    const [, carryTypes, rowTypes] = scanParts(
      body.inputs.map(v => v.aval),
      params,
    )
    const constTypes = consts.filter(isLinear).map(o => o.linear)
    const knownConsts = known(consts)
    const yTypes = select(body.outputs.slice(numCarry), isPresent(yCts)).map(o => o.aval)
    // The operands of the transposed scan: known constants; cotangents of the carry, sums of the constants' cotangents;
    // known rows, rows of the outputs' cotangents.
    const types = [knownConsts.map(v => v.aval), carryTypes, constTypes, select(rowTypes, isKnown(xs)), yTypes]

    const transposed = traceClosed(types.flat(), v => {
      const next = v.values()
      const [constsIn, carryIn, sums, rowsIn, ysIn] = types.map(group => group.map(() => next.next().value as Value))
      const inputs = [...spread(isKnown(consts), constsIn), ...carry.map(() => null), ...spread(isKnown(xs), rowsIn)]
      const cts = transposeEval(body, inputs, [...carryIn, ...spread(isPresent(yCts), ysIn)])
      const constCts = select(cts.slice(0, numConsts), consts.map(isLinear))
      const rowCts = cts.slice(numConsts + numCarry)
      return [
        ...carryTypes.map((a, i) => cts[numConsts + i] ?? zeros(a)),
        ...sums.map((sum, i) => (constCts[i] ? ops.add(sum, constCts[i]) : sum)),
        ...select(
          rowCts.map((ct, i) => ct ?? zeros(rowTypes[i])),
          xs.map(isLinear),
        ),
      ]
    })
    const start = carryTypes.map((a, i) => carryCts[i] ?? zeros(a))
    const results = bind('scan', [...knownConsts, ...start, ...constTypes.map(zeros), ...known(xs), ...present(yCts)], {
      body: transposed,
      numConsts: knownConsts.length,
      numCarry: numCarry + constTypes.length,
      length: params.length,
      reverse: !reverse,
    })
    const [carryOut, rest] = [results.slice(0, numCarry), results.slice(numCarry)]
    return [
      ...spread(consts.map(isLinear), rest.slice(0, constTypes.length)),
      ...carryOut,
      ...spread(xs.map(isLinear), rest.slice(constTypes.length)),
    ]
  }

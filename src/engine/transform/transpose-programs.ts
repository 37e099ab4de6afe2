/** Transposition rules of the primitives that carry programs. */
import * as ops from '../program/ops.js'
import { bind, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf, zeros } from './linear.js'
import { isPresent, present, scanParts, select, spread } from './masks.js'
import type { LinearOperand, ProgramTransposeRule, TransposeEval } from './rules.js'

const isKnown = (operands: readonly LinearOperand[]): boolean[] => operands.map(o => !isLinear(o))
const known = (operands: readonly LinearOperand[]): Value[] => operands.filter(o => !isLinear(o)).map(valueOf)

/** Inlines the transposed program. This computes the known values of a call with `remat` again. */
export const call =
  (transposeEval: TransposeEval): ProgramTransposeRule<'call'> =>
  (cotangents, operands, { program }) =>
    transposeEval(
      program,
      operands.map(o => (isLinear(o) ? null : o.known)),
      cotangents,
    )

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

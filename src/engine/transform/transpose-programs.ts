/** Transposition of the linear primitives that carry programs. */
import * as ops from '../program/ops.js'
import { bind, traceClosed } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { isLinear, valueOf, zeros } from './linear.js'
import type { Cotangent, Operand, ProgramTransposeRule, TransposeEval } from './rules.js'

const known = (operands: readonly Operand[]): Value[] => operands.filter(o => !isLinear(o)).map(valueOf)
const present = (cotangents: readonly Cotangent[]): Value[] => cotangents.filter(ct => ct !== null)

/** A list with `items`, in order, where `here` holds, and null elsewhere. */
function spread(here: readonly boolean[], items: readonly Value[]): Cotangent[] {
  const next = items.values()
  return here.map(h => (h ? (next.next().value as Value) : null))
}

/** Inlined: what of a rematerialized call does not depend on tangents is computed here, again. */
export const call =
  (transposeEval: TransposeEval): ProgramTransposeRule<'call'> =>
  (cotangents, operands, { program }) =>
    transposeEval(
      program,
      operands.map(o => (isLinear(o) ? null : o.known)),
      cotangents,
    )

/** The transposed branches; a branch that an operand does not reach gives it zeros. */
export const cond =
  (transposeEval: TransposeEval): ProgramTransposeRule<'cond'> =>
  (cotangents, [index, ...operands], { branches }) => {
    const inputs = known(operands)
    const linear = operands.filter(isLinear).map(o => o.linear)
    const transposed = branches.map(branch =>
      traceClosed(
        [...inputs, ...present(cotangents)].map(v => v.aval),
        v => {
          const values = spread(
            operands.map(o => !isLinear(o)),
            v.slice(0, inputs.length),
          )
          const cts = transposeEval(
            branch,
            values,
            spread(
              cotangents.map(ct => ct !== null),
              v.slice(inputs.length),
            ),
          )
          return cts.filter((_, i) => isLinear(operands[i])).map((ct, i) => ct ?? zeros(linear[i]))
        },
      ),
    )
    const results = bind('cond', [valueOf(index), ...inputs, ...present(cotangents)], { branches: transposed })
    return [null, ...spread(operands.map(isLinear), results)]
  }

/**
 * A scan in the other direction, whose carry is the carry's cotangents and, summed up step by step, those of the
 * constants. It reads the rows' cotangents and returns those of the scanned operands.
 */
export const scan =
  (transposeEval: TransposeEval): ProgramTransposeRule<'scan'> =>
  (cotangents, operands, params) => {
    const { body, numConsts, numCarry, reverse } = params
    const [consts, carry, xs] = [
      operands.slice(0, numConsts),
      operands.slice(numConsts, numConsts + numCarry),
      operands.slice(numConsts + numCarry),
    ]
    const [carryCts, yCts] = [cotangents.slice(0, numCarry), cotangents.slice(numCarry)]
    const carryTypes = body.inputs.slice(numConsts, numConsts + numCarry).map(v => v.aval)
    const constTypes = consts.filter(isLinear).map(o => o.linear)
    const rowTypes = body.inputs.slice(numConsts + numCarry).map(v => v.aval)
    const knownConsts = known(consts)
    const yTypes = body.outputs
      .slice(numCarry)
      .filter((_, i) => yCts[i] !== null)
      .map(o => o.aval)
    const types = [
      knownConsts.map(v => v.aval),
      carryTypes,
      constTypes,
      rowTypes.filter((_, i) => !isLinear(xs[i])),
      yTypes,
    ]

    const transposed = traceClosed(types.flat(), v => {
      const next = v.values()
      const [constsIn, carryIn, sums, rowsIn, ysIn] = types.map(group => group.map(() => next.next().value as Value))
      const inputs = [
        ...spread(
          consts.map(o => !isLinear(o)),
          constsIn,
        ),
        ...carry.map(() => null),
        ...spread(
          xs.map(o => !isLinear(o)),
          rowsIn,
        ),
      ]
      const cts = transposeEval(body, inputs, [
        ...carryIn,
        ...spread(
          yCts.map(ct => ct !== null),
          ysIn,
        ),
      ])
      const constCts = cts.slice(0, numConsts).filter((_, i) => isLinear(consts[i]))
      const rowCts = cts.slice(numConsts + numCarry)
      return [
        ...carryTypes.map((a, i) => cts[numConsts + i] ?? zeros(a)),
        ...sums.map((sum, i) => (constCts[i] ? ops.add(sum, constCts[i]) : sum)),
        ...rowCts.map((ct, i) => ct ?? zeros(rowTypes[i])).filter((_, i) => isLinear(xs[i])),
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

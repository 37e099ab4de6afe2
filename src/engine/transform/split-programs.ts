/** How equations of primitives that carry programs are split into a known and an unknown part: see `split`. */
import { sameAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import { liveEquations, withoutDeadCode } from './dead-code.js'
import { either, reject, scanParts, select, settle } from './masks.js'
import type { Mask } from './masks.js'
import type { SplitEquation, SplitProgram } from './rules.js'

/**
 * Splits a scan into two. There are four kinds of residuals:
 * - `hoisted`: computed from constants only, so the same at every step. A `call` before the loops computes them once.
 * - `fixed`: constants of the scan, and `rows`: rows of its scanned operands. The unknown scan reads the operand
 *   itself.
 * - `stacked`: all other residuals. The known scan returns those of all steps stacked, and the unknown scan scans over
 *   them.
 */
export function splitScan(split: SplitProgram, eqn: Equation<'scan'>, unknown: Mask): SplitEquation {
  const { body, numConsts, numCarry } = eqn.params
  // The suffix U marks the mask of the unknown operands of each kind.
  const [constsU, carryU, xsU] = scanParts(unknown, eqn.params)
  // A carry is unknown if its initial value is, or if the body makes it so.
  const { carried, ...steps } = settle(carryU, mask => {
    const parts = split(body, [...constsU, ...mask, ...xsU], mask)
    return { ...parts, after: parts.unknownOutputs.slice(0, numCarry) }
  })
  const [consts, carry, xs] = scanParts(eqn.inputs, eqn.params)
  const [bodyConsts, , bodyXs] = scanParts<Atom>(body.inputs, eqn.params)

  const residuals = steps.unknown.inputs.slice(0, steps.numResiduals)
  const { equations: invariant, values: invariants } = invariantPart(
    steps.known,
    reject(body.inputs.slice(0, numConsts), constsU),
  )
  const hoisted = residuals.filter(r => invariants.has(r))
  const hoistedVars = hoisted.map(r => new Var(r.aval))
  const invariantCall = equation({
    primitive: 'call',
    inputs: reject(consts, constsU),
    outputs: hoistedVars,
    params: {
      name: 'invariant',
      remat: false,
      program: withoutDeadCode(new Program(reject(body.inputs.slice(0, numConsts), constsU), invariant, hoisted)),
    },
  })
  const fixed = residuals.filter(r => bodyConsts.includes(r))
  const rows = residuals.filter(r => bodyXs.includes(r))
  const stacked = residuals.filter(r => !fixed.includes(r) && !rows.includes(r) && !hoisted.includes(r))
  const stacks = stacked.map(r => new Var({ dtype: r.aval.dtype, shape: [eqn.params.length, ...r.aval.shape] }))

  const knownBody = steps.known.outputs.slice(0, steps.known.outputs.length - residuals.length)
  const known = equation({
    ...eqn,
    inputs: [...reject(consts, constsU), ...reject(carry, carried), ...reject(xs, xsU)],
    params: {
      ...eqn.params,
      numConsts: reject(consts, constsU).length,
      numCarry: reject(carry, carried).length,
      body: new Program(steps.known.inputs, steps.known.equations, [...knownBody, ...stacked]),
    },
    outputs: [...reject(eqn.outputs, steps.unknownOutputs), ...stacks],
  })
  const [unknownConsts, unknownCarry] = [select(consts, constsU), select(carry, carried)]
  // The inputs of the unknown body after its residuals: constants and carry, then rows.
  const declared = steps.unknown.inputs.slice(residuals.length)
  const numBefore = unknownConsts.length + unknownCarry.length
  const rest = equation({
    ...eqn,
    inputs: [
      ...fixed.map(r => consts[bodyConsts.indexOf(r)]),
      ...hoistedVars,
      ...unknownConsts,
      ...unknownCarry,
      ...rows.map(r => xs[bodyXs.indexOf(r)]),
      ...stacks,
      ...select(xs, xsU),
    ],
    params: {
      ...eqn.params,
      numConsts: fixed.length + hoistedVars.length + unknownConsts.length,
      numCarry: unknownCarry.length,
      body: new Program(
        [...fixed, ...hoisted, ...declared.slice(0, numBefore), ...rows, ...stacked, ...declared.slice(numBefore)],
        steps.unknown.equations,
        steps.unknown.outputs,
      ),
    },
    outputs: select(eqn.outputs, steps.unknownOutputs),
  })
  return { known: [invariantCall, known], unknown: rest }
}

/** The equations of a body that depend on these constants only, and the values that they compute. */
function invariantPart(
  { equations }: Program,
  consts: readonly Var[],
): { equations: Equation[]; values: ReadonlySet<Var> } {
  const fixed = new Set<Atom>(consts)
  const values = new Set<Var>()
  const kept = equations.filter(eqn => {
    if (!eqn.inputs.every(a => a instanceof Lit || fixed.has(a))) return false
    for (const v of eqn.outputs) {
      fixed.add(v)
      values.add(v)
    }
    return true
  })
  return { equations: kept, values }
}

/**
 * Splits a cond into two. The branches have different residuals, but all branches of one cond must return the same
 * types. So each known branch returns its residuals in slots, a list of types that all branches share: a residual goes
 * to a free slot of its type, and unused slots hold zeros. A residual that is an operand of the branch needs no slot.
 */
export function splitCond(split: SplitProgram, eqn: Equation<'cond'>, unknown: Mask): SplitEquation {
  if (unknown[0]) return { known: [], unknown: eqn }
  const [index, ...operands] = eqn.inputs
  const mask = unknown.slice(1)
  const wanted = eqn.params.branches.map(b => split(b, mask).unknownOutputs).reduce(either)
  const slots: Aval[] = []
  const branches = eqn.params.branches.map(branch => {
    const parts = split(branch, mask, wanted)
    const residuals = parts.unknown.inputs.slice(0, parts.numResiduals)
    const taken = new Set<number>()
    const sources = residuals.map(r => {
      const operand = branch.inputs.indexOf(r)
      if (operand >= 0) return { operand }
      let slot = slots.findIndex((s, i) => !taken.has(i) && sameAval(s, r.aval))
      if (slot < 0) slot = slots.push(r.aval) - 1
      taken.add(slot)
      return { slot }
    })
    return { parts, sources }
  })
  // Operands that are residuals of any branch.
  const shared = [
    ...new Set(branches.flatMap(b => b.sources.flatMap(s => (s.operand === undefined ? [] : [s.operand])))),
  ]

  const slotVars = slots.map(a => new Var(a))
  const known = equation({
    ...eqn,
    inputs: [index, ...reject(operands, mask)],
    outputs: [...reject(eqn.outputs, wanted), ...slotVars],
    params: {
      branches: branches.map(({ parts, sources }) =>
        traceClosed(
          parts.known.inputs.map(v => v.aval),
          v => {
            const outputs = evalProgram(parts.known, v)
            const residuals = outputs.splice(outputs.length - sources.length)
            return [
              ...outputs,
              ...slots.map((a, i) => residuals[sources.findIndex(s => s.slot === i)] ?? ops.full(a.shape, 0, a.dtype)),
            ]
          },
        ),
      ),
    },
  })
  const inputs = [...shared.map(i => operands[i]), ...slotVars, ...select(operands, mask)]
  const rest = equation({
    ...eqn,
    inputs: [index, ...inputs],
    outputs: select(eqn.outputs, wanted),
    params: {
      branches: branches.map(({ parts, sources }) =>
        traceClosed(
          inputs.map(v => v.aval),
          v => {
            const residuals = sources.map(
              s => v[s.operand === undefined ? shared.length + s.slot : shared.indexOf(s.operand)],
            )
            return evalProgram(parts.unknown, [...residuals, ...v.slice(shared.length + slots.length)])
          },
        ),
      ),
    },
  })
  return { known: [known], unknown: rest }
}

/**
 * Splits a call with `remat`, whose only residuals are its inputs. The unknown part computes the known values again,
 * from inputs that pass an `optimizationBarrier`. Without the barrier, simplification would merge both computations
 * into one, and its results would stay in memory until the unknown part runs.
 */
export function splitCall(split: SplitProgram, eqn: Equation<'call'>, unknown: Mask): SplitEquation {
  const { program } = eqn.params
  const { known, unknown: rest, unknownOutputs, numResiduals } = split(program, unknown)
  const numKnown = known.outputs.length - numResiduals
  const knownOutputs = known.outputs.slice(0, numKnown)
  const again = traceClosed(
    program.inputs.map(v => v.aval),
    v => {
      const residuals = evalProgram(known, reject(v, unknown).map(ops.optimizationBarrier)).slice(numKnown)
      return evalProgram(rest, [...residuals, ...select(v, unknown)])
    },
  )
  return {
    known: [
      equation({
        ...eqn,
        inputs: reject(eqn.inputs, unknown),
        outputs: reject(eqn.outputs, unknownOutputs),
        params: {
          ...eqn.params,
          program: new Program(known.inputs, liveEquations(known.equations, knownOutputs), knownOutputs),
        },
      }),
    ],
    unknown: equation({
      ...eqn,
      outputs: select(eqn.outputs, unknownOutputs),
      params: { ...eqn.params, program: withoutDeadCode(again) },
    }),
  }
}

const equation = <P extends Equation['primitive']>(eqn: Equation<P>): Equation => eqn as unknown as Equation

/** How the primitives that carry programs split into a known and an unknown part. */
import { sameAval } from '../program/aval.js'
import type { Aval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import { Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { evalProgram, traceClosed } from '../program/trace.js'
import { liveEquations, withoutDeadCode } from './dead-code.js'
import type { SplitEquation, SplitProgram } from './rules.js'

const where = <T>(list: readonly T[], keep: readonly boolean[]): T[] => list.filter((_, i) => keep[i])
const whereNot = <T>(list: readonly T[], drop: readonly boolean[]): T[] => list.filter((_, i) => !drop[i])
const either = (a: readonly boolean[], b: readonly boolean[]): boolean[] => a.map((x, i) => x || b[i])

/**
 * The known scan returns the residuals of each step as further rows, which the unknown scan reads. A residual that is
 * an operand of the body (a constant, a scanned row) is read from there, and one that only constants go into, which is
 * the same at every step, is computed once, before the loop.
 */
export function splitScan(split: SplitProgram, eqn: Equation<'scan'>, unknown: readonly boolean[]): SplitEquation {
  const { body, numConsts, numCarry } = eqn.params
  const parts = <T>(list: readonly T[]): [T[], T[], T[]] => [
    list.slice(0, numConsts),
    list.slice(numConsts, numConsts + numCarry),
    list.slice(numConsts + numCarry),
  ]
  const [constsU, , xsU] = parts(unknown)
  // A carry is unknown if it enters so, or if the body makes it so.
  const settle = (carried: boolean[]): { carried: boolean[]; steps: ReturnType<SplitProgram> } => {
    const steps = split(body, [...constsU, ...carried, ...xsU], carried)
    const next = steps.unknownOutputs.slice(0, numCarry)
    return next.every((u, i) => u === carried[i]) ? { carried, steps } : settle(next)
  }
  const { carried, steps } = settle(parts(unknown)[1])
  const [consts, carry, xs] = parts(eqn.inputs)
  const [bodyConsts, , bodyXs] = parts<Atom>(body.inputs)

  const residuals = steps.unknown.inputs.slice(0, steps.numResiduals)
  const { equations: invariant, values: invariants } = invariantPart(
    steps.known,
    whereNot(body.inputs.slice(0, numConsts), constsU),
  )
  const hoisted = residuals.filter(r => invariants.has(r))
  const once = hoisted.map(r => new Var(r.aval))
  const before = equation({
    primitive: 'call',
    inputs: whereNot(consts, constsU),
    outputs: once,
    params: {
      name: 'invariant',
      remat: false,
      program: withoutDeadCode(new Program(whereNot(body.inputs.slice(0, numConsts), constsU), invariant, hoisted)),
    },
  })
  const fixed = residuals.filter(r => bodyConsts.includes(r))
  const rows = residuals.filter(r => bodyXs.includes(r))
  const stacked = residuals.filter(r => !fixed.includes(r) && !rows.includes(r) && !hoisted.includes(r))
  const stacks = stacked.map(r => new Var({ dtype: r.aval.dtype, shape: [eqn.params.length, ...r.aval.shape] }))

  const knownBody = steps.known.outputs.slice(0, steps.known.outputs.length - residuals.length)
  const known = equation({
    ...eqn,
    inputs: [...whereNot(consts, constsU), ...whereNot(carry, carried), ...whereNot(xs, xsU)],
    params: {
      ...eqn.params,
      numConsts: whereNot(consts, constsU).length,
      numCarry: whereNot(carry, carried).length,
      body: new Program(steps.known.inputs, steps.known.equations, [...knownBody, ...stacked]),
    },
    outputs: [...whereNot(eqn.outputs, steps.unknownOutputs), ...stacks],
  })
  const [unknownConsts, unknownCarry] = [where(consts, constsU), where(carry, carried)]
  const declared = steps.unknown.inputs.slice(residuals.length)
  const numBefore = unknownConsts.length + unknownCarry.length
  const rest = equation({
    ...eqn,
    inputs: [
      ...fixed.map(r => consts[bodyConsts.indexOf(r)]),
      ...once,
      ...unknownConsts,
      ...unknownCarry,
      ...rows.map(r => xs[bodyXs.indexOf(r)]),
      ...stacks,
      ...where(xs, xsU),
    ],
    params: {
      ...eqn.params,
      numConsts: fixed.length + once.length + unknownConsts.length,
      numCarry: unknownCarry.length,
      body: new Program(
        [...fixed, ...hoisted, ...declared.slice(0, numBefore), ...rows, ...stacked, ...declared.slice(numBefore)],
        steps.unknown.equations,
        steps.unknown.outputs,
      ),
    },
    outputs: where(eqn.outputs, steps.unknownOutputs),
  })
  return { known: [before, known], unknown: rest }
}

/** The equations of a body that nothing but these constants goes into, and what they compute. */
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
 * Every branch has residuals of its own. The known branches return them in common slots, one for each type, zeros in the
 * slots that a branch has no use for; a residual that is an operand is read from there.
 */
export function splitCond(split: SplitProgram, eqn: Equation<'cond'>, unknown: readonly boolean[]): SplitEquation {
  if (unknown[0]) return { known: [], unknown: eqn }
  const [index, ...operands] = eqn.inputs
  const mask = unknown.slice(1)
  const wanted = eqn.params.branches.map(b => split(b, mask).unknownOutputs).reduce(either)
  const slots: Aval[] = []
  const branches = eqn.params.branches.map(branch => {
    const parts = split(branch, mask, wanted)
    const residuals = parts.unknown.inputs.slice(0, parts.numResiduals)
    const taken = new Set<number>()
    const places = residuals.map(r => {
      const operand = branch.inputs.indexOf(r)
      if (operand >= 0) return { operand }
      let slot = slots.findIndex((s, i) => !taken.has(i) && sameAval(s, r.aval))
      if (slot < 0) slot = slots.push(r.aval) - 1
      taken.add(slot)
      return { slot }
    })
    return { parts, places }
  })
  const shared = [
    ...new Set(branches.flatMap(b => b.places.flatMap(p => (p.operand === undefined ? [] : [p.operand])))),
  ]

  const slotVars = slots.map(a => new Var(a))
  const known = equation({
    ...eqn,
    inputs: [index, ...whereNot(operands, mask)],
    outputs: [...whereNot(eqn.outputs, wanted), ...slotVars],
    params: {
      branches: branches.map(({ parts, places }) =>
        traceClosed(
          parts.known.inputs.map(v => v.aval),
          v => {
            const outputs = evalProgram(parts.known, v)
            const residuals = outputs.splice(outputs.length - places.length)
            return [
              ...outputs,
              ...slots.map((a, s) => residuals[places.findIndex(p => p.slot === s)] ?? ops.full(a.shape, 0, a.dtype)),
            ]
          },
        ),
      ),
    },
  })
  const inputs = [...shared.map(i => operands[i]), ...slotVars, ...where(operands, mask)]
  const rest = equation({
    ...eqn,
    inputs: [index, ...inputs],
    outputs: where(eqn.outputs, wanted),
    params: {
      branches: branches.map(({ parts, places }) =>
        traceClosed(
          inputs.map(v => v.aval),
          v => {
            const residuals = places.map(
              p => v[p.operand === undefined ? shared.length + p.slot : shared.indexOf(p.operand)],
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
 * Rematerialization: the only residuals are the call's inputs. The unknown part applies the whole program again, to its
 * inputs behind a barrier, so that no simplification finds it equal to the known part and keeps that instead.
 */
export function splitCall(split: SplitProgram, eqn: Equation<'call'>, unknown: readonly boolean[]): SplitEquation {
  const { program } = eqn.params
  const { known, unknown: rest, unknownOutputs, numResiduals } = split(program, unknown)
  const numKnown = known.outputs.length - numResiduals
  const knownOutputs = known.outputs.slice(0, numKnown)
  const again = traceClosed(
    program.inputs.map(v => v.aval),
    v => {
      const residuals = evalProgram(known, whereNot(v, unknown).map(ops.optimizationBarrier)).slice(numKnown)
      return evalProgram(rest, [...residuals, ...where(v, unknown)])
    },
  )
  return {
    known: [
      equation({
        ...eqn,
        inputs: whereNot(eqn.inputs, unknown),
        outputs: whereNot(eqn.outputs, unknownOutputs),
        params: {
          ...eqn.params,
          program: new Program(known.inputs, liveEquations(known.equations, knownOutputs), knownOutputs),
        },
      }),
    ],
    unknown: equation({
      ...eqn,
      outputs: where(eqn.outputs, unknownOutputs),
      params: { ...eqn.params, program: withoutDeadCode(again) },
    }),
  }
}

const equation = <P extends Equation['primitive']>(eqn: Equation<P>): Equation => eqn as unknown as Equation

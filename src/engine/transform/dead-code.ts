import { is, Program } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { scanParts, select, settle } from './masks.js'

/**
 * Removes what no output needs: equations, unused results of loops, branches and calls, and operands that only those
 * results needed. The program's inputs and outputs stay as they are.
 */
export function withoutDeadCode(program: Program): Program {
  return new Program(program.inputs, liveEquations(program.equations, program.outputs), program.outputs)
}

/** The equations that `outputs` need, in order, each reduced to the results that are needed. */
export function liveEquations(equations: readonly Equation[], outputs: readonly Atom[]): Equation[] {
  const live = new Set<Atom>(outputs)
  const kept: Equation[] = []
  for (const eqn of equations.toReversed()) {
    const used = eqn.outputs.map(o => live.has(o))
    if (!used.includes(true)) continue
    const reduced = reduce(eqn, used)
    for (const a of reduced.inputs) live.add(a)
    kept.push(reduced)
  }
  return kept.reverse()
}

/** The equation without its unused outputs, as far as its primitive allows that. */
function reduce(eqn: Equation, used: readonly boolean[]): Equation {
  if (is(eqn, 'scan')) return reduceScan(eqn, used)
  if (is(eqn, 'cond')) return reduceCond(eqn, used)
  if (is(eqn, 'call')) return reduceCall(eqn, used)
  if (is(eqn, 'shardMap')) return reduceShardMap(eqn, used)
  return eqn
}

/** The program with only the used outputs, and which of its inputs they need. */
function narrow(program: Program, used: readonly boolean[]): { program: Program; needed: boolean[] } {
  const outputs = select(program.outputs, used)
  const equations = liveEquations(program.equations, outputs)
  const narrowed = new Program(program.inputs, equations, outputs)
  return { program: narrowed, needed: neededInputs(narrowed) }
}

/** Which inputs a program without dead code reads or returns. */
export function neededInputs({ inputs, equations, outputs }: Program): boolean[] {
  const read = new Set<Atom>([...equations.flatMap(e => e.inputs), ...outputs])
  return inputs.map(v => read.has(v))
}

const withInputs = (program: Program, needed: readonly boolean[]): Program =>
  new Program(select(program.inputs, needed), program.equations, program.outputs)

function reduceCall(eqn: Equation<'call'>, used: readonly boolean[]): Equation {
  const { program, needed } = narrow(eqn.params.program, used)
  return {
    ...eqn,
    params: { ...eqn.params, program: withInputs(program, needed) },
    inputs: select(eqn.inputs, needed),
    outputs: select(eqn.outputs, used),
  } as Equation
}

function reduceShardMap(eqn: Equation<'shardMap'>, used: readonly boolean[]): Equation {
  const { params } = eqn
  const { program, needed } = narrow(params.body, used)
  return {
    ...eqn,
    params: {
      mesh: params.mesh,
      inSpecs: select(params.inSpecs, needed),
      outSpecs: select(params.outSpecs, used),
      body: withInputs(program, needed),
    },
    inputs: select(eqn.inputs, needed),
    outputs: select(eqn.outputs, used),
  } as unknown as Equation
}

function reduceCond(eqn: Equation<'cond'>, used: readonly boolean[]): Equation {
  const [index, ...operands] = eqn.inputs
  const branches = eqn.params.branches.map(b => narrow(b, used))
  const needed = operands.map((_, i) => branches.some(b => b.needed[i]))
  return {
    ...eqn,
    params: { branches: branches.map(b => withInputs(b.program, needed)) },
    inputs: [index, ...select(operands, needed)],
    outputs: select(eqn.outputs, used),
  } as Equation
}

/** A carry is needed if it is used after the loop, or if the next step needs it for something that is. */
function reduceScan(eqn: Equation<'scan'>, used: readonly boolean[]): Equation {
  const { params } = eqn
  const { numCarry } = params
  const usedYs = used.slice(numCarry)
  const { carried, program, needed } = settle(used.slice(0, numCarry), mask => {
    const narrowed = narrow(params.body, [...mask, ...usedYs])
    const [, carry] = scanParts(narrowed.needed, params)
    return { ...narrowed, after: mask.map((m, i) => m || carry[i]) }
  })
  const [consts, , rows] = scanParts(needed, params)
  const inputs = [...consts, ...carried, ...rows]
  return {
    ...eqn,
    params: {
      ...params,
      body: withInputs(program, inputs),
      numConsts: consts.filter(Boolean).length,
      numCarry: carried.filter(Boolean).length,
    },
    inputs: select(eqn.inputs, inputs),
    outputs: select(eqn.outputs, [...carried, ...usedYs]),
  } as Equation
}

import { SwitchyardError } from '../../base/errors.js'
import { formatAval } from '../program/aval.js'
import { is, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { liveEquations } from './dead-code.js'
import { reject, select } from './masks.js'
import type { Split, SplitEquation } from './rules.js'
import { splitShardMap } from './shard-map.js'
import { splitCall, splitCond, splitScan } from './split-programs.js'

/**
 * Splits a program in two (partial evaluation): `known` computes everything that does not depend on the unknown inputs,
 * and `unknown` the rest. Residuals are known values that `unknown` reads: outputs of `known`, inputs of `unknown`.
 * Outputs in the mask `wanted` are returned by `unknown` even if they are known.
 */
export function split(program: Program, unknownInputs: readonly boolean[], wanted: readonly boolean[] = []): Split {
  const unknown = new Set<Var>(select(program.inputs, unknownInputs))
  const isUnknown = (a: Atom): boolean => a instanceof Var && unknown.has(a)
  const [knownEquations, unknownEquations]: [Equation[], Equation[]] = [[], []]
  for (const eqn of program.equations) {
    const mask = eqn.inputs.map(isUnknown)
    const parts = mask.includes(true) ? splitEquation(eqn, mask) : { known: [eqn], unknown: null }
    knownEquations.push(...parts.known)
    if (parts.unknown) {
      unknownEquations.push(parts.unknown)
      for (const v of parts.unknown.outputs) unknown.add(v)
    }
  }
  const unknownOutputs = program.outputs.map((o, i) => isUnknown(o) || wanted[i] === true)
  const rest = select(program.outputs, unknownOutputs)
  const live = liveEquations(unknownEquations, rest)
  const residuals = new Set<Var>()
  for (const a of [...live.flatMap(e => e.inputs), ...rest]) if (a instanceof Var && !unknown.has(a)) residuals.add(a)
  const knownOutputs = [...reject(program.outputs, unknownOutputs), ...residuals]
  return {
    known: new Program(
      reject(program.inputs, unknownInputs),
      liveEquations(knownEquations, knownOutputs),
      knownOutputs,
    ),
    unknown: new Program([...residuals, ...select(program.inputs, unknownInputs)], live, rest),
    numResiduals: residuals.size,
    unknownOutputs,
  }
}

/** An equation with an unknown operand. Only some primitives that carry programs have a known part. */
function splitEquation(eqn: Equation, unknown: readonly boolean[]): SplitEquation {
  if (is(eqn, 'scan')) return splitScan(split, eqn, unknown)
  if (is(eqn, 'cond')) return splitCond(split, eqn, unknown)
  if (is(eqn, 'call')) return splitCall(split, eqn, unknown)
  if (is(eqn, 'shardMap')) return splitShardMap(split, eqn, unknown)
  if (is(eqn, 'while')) {
    throw new SwitchyardError(
      `while(${eqn.inputs.map(a => formatAval(a.aval)).join(', ')}) has no reverse mode: ` +
        'the number of its steps, and so of the residuals to store, is unknown while tracing; ' +
        'use scan, or forward mode (jvp)',
    )
  }
  return { known: [], unknown: eqn }
}

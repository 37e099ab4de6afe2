import type { Aval } from '../../program/aval.js'
import { Lit, Program, Var } from '../../program/program.js'
import type { Atom } from '../../program/program.js'
import type { ProgramsAtSizes } from '../backend.js'
import { outputTypesOf } from '../sized-program.js'

/**
 * The program of a function at any sizes, from its programs at three, whose equations are the same: given the types of
 * its inputs, all values have the types at these sizes. The parameters of equations, such as the shape of a broadcast,
 * stay those of the first example. null if there is not exactly one formula for each length (see `outputTypesOf`), or a
 * constant depends on sizes. The function gives null at sizes where the formulas do not hold.
 */
export function retyper(examples: ProgramsAtSizes): ((inputs: readonly Aval[]) => Program | null) | null {
  const [first, second, third] = examples
  if ([second, third].some(other => !hasConstantsOf(first, other))) return null
  const typesOf = outputTypesOf([valuesOf(first), valuesOf(second), valuesOf(third)])
  if (typesOf === null) return null
  return inputs => {
    const types = typesOf(inputs)
    return types && withTypes(first, inputs, types)
  }
}

/** Whether two programs with the same equations read the same constants. */
const hasConstantsOf = (first: Program, other: Program): boolean =>
  first.equations.every((eqn, i) =>
    eqn.inputs.every((a, k) => {
      const counterpart = other.equations[i].inputs[k]
      return !(a instanceof Lit && counterpart instanceof Lit) || Object.is(a.value, counterpart.value)
    }),
  )

/** A program that returns the results of all equations. */
const valuesOf = ({ inputs, equations }: Program): Program =>
  new Program(
    inputs,
    [],
    equations.flatMap(e => e.outputs),
  )

/** The program with these types of its inputs, and of its equations' results, in their order. */
function withTypes(
  { inputs, equations, outputs }: Program,
  inputTypes: readonly Aval[],
  resultTypes: readonly Aval[],
): Program {
  const renamed = new Map<Atom, Var>()
  const define = (v: Var, type: Aval): Var => {
    const own = new Var(type)
    renamed.set(v, own)
    return own
  }
  const use = (a: Atom): Atom => renamed.get(a) ?? a
  let next = 0
  return new Program(
    inputs.map((v, i) => define(v, inputTypes[i])),
    equations.map(eqn => ({
      ...eqn,
      inputs: eqn.inputs.map(use),
      outputs: eqn.outputs.map(v => define(v, resultTypes[next++])),
    })),
    outputs.map(use),
  )
}

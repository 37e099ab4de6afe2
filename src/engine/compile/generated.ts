import { sizeOf } from '../../base/host-tensor.js'
import { liveEquations, withoutDeadCode } from '../transform/dead-code.js'
import { is, Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { subprograms } from '../program/subprograms.js'

/** A program cut into loops that generate random numbers, and the rest. */
export interface Generated {
  /**
   * From the program's inputs to the scalars of all loops, one loop's after the other's: small arrays, such as keys.
   */
  readonly seeds: Program
  /** Loops from scalars to arrays that have the same number of elements. */
  readonly loops: readonly Program[]
  /**
   * The rest of the program. Its inputs are the program's inputs, then the loops' outputs. Outputs of the program that
   * a loop computes are not among its outputs.
   */
  readonly rest: Program
}

/** Which loops a backend can generate. */
export interface GeneratorLimits {
  /**
   * Which of a program's equations a loop can compute, if the equations that their operands are made by are in it too.
   */
  canGenerate: (program: Program) => (eqn: Equation) => boolean
  /** Arrays with fewer elements are not worth a loop. */
  minElements: number
  /** How many outputs one loop may have. */
  maxOutputs: number
  /** How many equations one loop may have. */
  maxEquations: number
}

/** The interpreter computes the scalars that loops read (see `seeds`), from arrays of at most this many elements. */
const MAX_SEED_ELEMENTS = 4096

/**
 * Cuts random numbers off a program. A loop computes element-wise chains that begin at threefry2x32 and read only
 * scalars and element positions. The scalars are computed from small arrays, such as keys, before the loops run. A
 * chain ends where an equation reads any other array.
 */
export function cutGenerated(program: Program, limits: GeneratorLimits): Generated {
  if (!program.equations.some(isRandom)) return { seeds: new Program(program.inputs, [], []), loops: [], rest: program }
  const { seeds, members, random } = classify(program, limits)
  const loops = makeLoops(program, members, random, limits)
  const made = loops.flatMap(loop => loop.outputs as Var[])
  const isMade = new Set<Atom>(made)
  const scalars = loops.flatMap(loop => loop.inputs)
  return {
    seeds: withoutDeadCode(new Program(program.inputs, seeds, scalars)),
    loops,
    rest: withoutDeadCode(
      new Program(
        [...program.inputs, ...made],
        program.equations.filter(e => !random.has(e)),
        program.outputs.filter(o => !isMade.has(o)),
      ),
    ),
  }
}

const isRandom = (eqn: Equation): boolean => is(eqn, 'threefry2x32')

/**
 * Classifies a program's equations. `seeds` compute small arrays and scalars. `members` are those that a loop can
 * compute, by their outputs. `random` are the members that depend on random bits.
 */
function classify(
  program: Program,
  { canGenerate, minElements }: GeneratorLimits,
): { seeds: Equation[]; members: ReadonlyMap<Atom, Equation>; random: Set<Equation> } {
  const isPossible = canGenerate(program)
  const isSmall = (a: Atom): boolean => sizeOf(a.aval.shape) <= MAX_SEED_ELEMENTS
  const small = new Set<Atom>(program.inputs.filter(isSmall))
  const isSeed = (a: Atom): boolean => a instanceof Lit || small.has(a)
  const seeds: Equation[] = []
  const members = new Map<Atom, Equation>()
  const random = new Set<Equation>()
  for (const eqn of program.equations) {
    const { inputs, outputs } = eqn
    const isMember =
      outputs[0].aval.shape.length > 0 && // a scalar may be repeated, and is read by the loops of all sizes
      sizeOf(outputs[0].aval.shape) >= minElements &&
      isPossible(eqn) &&
      inputs.every(a => members.has(a) || (a.aval.shape.length === 0 && isSeed(a)))
    if (isMember) {
      for (const o of outputs) members.set(o, eqn)
      if (isRandom(eqn) || inputs.some(a => random.has(members.get(a)!))) random.add(eqn)
    }
    if (outputs.every(isSmall) && inputs.every(isSeed) && !hasPrograms(eqn)) {
      seeds.push(eqn)
      for (const o of outputs) small.add(o)
    }
  }
  return { seeds, members, random }
}

const hasPrograms = (eqn: Equation): boolean => subprograms(eqn).length > 0

/**
 * One loop for each connected group of equations in `random`. The equations of groups that exceed the limits are
 * deleted from `random`. They then are part of the rest, and may read results of other groups, so the loops are made
 * again.
 */
function makeLoops(
  program: Program,
  members: ReadonlyMap<Atom, Equation>,
  random: Set<Equation>,
  limits: GeneratorLimits,
): Program[] {
  const positions = new Map(program.equations.map((eqn, i) => [eqn, i]))
  const inOrder = (equations: Iterable<Equation>): Equation[] =>
    [...equations].sort((a, b) => positions.get(a)! - positions.get(b)!)
  for (;;) {
    const others = liveEquations(
      program.equations.filter(e => !random.has(e)),
      program.outputs,
    )
    const read = new Set<Atom>([...others.flatMap(e => e.inputs), ...program.outputs])
    const groups = components([...random])
    const loops = groups.map(group => {
      const outputs = inOrder(group).flatMap(e => e.outputs.filter(o => read.has(o)))
      const equations = inOrder(makersOf(outputs, members))
      return new Program(scalarsOf(equations), equations, outputs)
    })
    const isTooLarge = ({ outputs, equations }: Program): boolean =>
      outputs.length > limits.maxOutputs || equations.length > limits.maxEquations
    const refused = groups.filter((_, i) => isTooLarge(loops[i]))
    if (refused.length === 0) return loops.filter(loop => loop.outputs.length > 0)
    for (const eqn of refused.flat()) random.delete(eqn)
  }
}

/** The members on which some arrays depend, directly or not. */
function makersOf(arrays: readonly Atom[], members: ReadonlyMap<Atom, Equation>): Set<Equation> {
  const makers = new Set<Equation>()
  const open = [...arrays]
  for (let a = open.pop(); a !== undefined; a = open.pop()) {
    const eqn = members.get(a)
    if (!eqn || makers.has(eqn)) continue
    makers.add(eqn)
    open.push(...eqn.inputs)
  }
  return makers
}

/** The variables that equations read and that none of them computes. */
function scalarsOf(equations: readonly Equation[]): Var[] {
  const made = new Set<Atom>(equations.flatMap(e => e.outputs))
  return [...new Set(equations.flatMap(e => e.inputs).filter((a): a is Var => a instanceof Var && !made.has(a)))]
}

/** The connected components: groups of equations, none of which reads a result of another group. */
function components(equations: readonly Equation[]): Equation[][] {
  const merged: number[] = []
  const find = (g: number): number => {
    while (merged[g] !== g) g = merged[g] = merged[merged[g]]
    return g
  }
  const groupOf = new Map<Atom, number>()
  const ids = equations.map(eqn => {
    const id = merged.push(merged.length) - 1
    for (const a of eqn.inputs) {
      const other = groupOf.get(a)
      if (other !== undefined) merged[find(other)] = find(id)
    }
    for (const o of eqn.outputs) groupOf.set(o, id)
    return id
  })
  const groups = new Map<number, Equation[]>()
  equations.forEach((eqn, i) => {
    const g = find(ids[i])
    const group = groups.get(g)
    if (group) group.push(eqn)
    else groups.set(g, [eqn])
  })
  return [...groups.values()]
}

import { sizeOf } from '../../base/host-tensor.js'
import { sameAval, sameShape } from '../program/aval.js'
import { is, Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { withoutDeadCode } from '../transform/dead-code.js'

/** An element-wise part of a program that ends in its outputs: one loop over arrays of one shape, and scalars. */
export interface FusedLoop {
  /** Inputs and outputs of the whole program's values: arrays of the loop's shape and (inputs) scalars. */
  readonly program: Program
  readonly inputs: readonly Var[]
  readonly outputs: readonly Var[]
  /** For each output, the donated input whose memory it takes, or null. */
  readonly inPlace: readonly (Var | null)[]
}

/** A program cut in two: what is computed first, and the loops that follow, which no other part waits for. */
export interface Segments {
  /** Its outputs are the whole program's that no loop makes, then what the loops read. */
  readonly main: Program
  /** The whole program's outputs. */
  readonly outputs: readonly Atom[]
  readonly loops: readonly FusedLoop[]
}

/** What a backend's loops can do. */
export interface LoopLimits {
  canFuse: (eqn: Equation) => boolean
  /** How large the arrays of one loop may be together. */
  maxBytes: number
  /** How many inputs and outputs one loop may have. */
  maxOperands: number
  /** How many equations one loop may have. */
  maxEquations: number
}

/**
 * Cuts off the element-wise tail of a program where it can be written into donated memory: the optimizer's update of a
 * training step. Every reader of a donated input other than its loop is then in the first part, which is done before
 * the loops write; so writing in place is safe whatever the order inside either part.
 */
export function cutUpdate(program: Program, donated: readonly boolean[], limits: LoopLimits): Segments {
  const { canFuse } = limits
  const { outputs } = program
  const whole: Segments = { main: program, outputs, loops: [] }
  const donatedInputs = new Set(program.inputs.filter((_, i) => donated[i]))
  if (donatedInputs.size === 0) return whole
  const tail = elementwiseTail(program, canFuse)
  const makers = new Map<Atom, Equation>(program.equations.filter(canFuse).map(e => [e.outputs[0], e]))
  const returned = new Map<Atom, number>(outputs.map((o, i) => [o, i] as const).toReversed())
  const loops = components(program, tail)
    .map(equations => makeLoop(equations, returned, donatedInputs, makers))
    .filter((loop): loop is FusedLoop => loop !== null && fits(loop, limits))
  if (loops.length === 0) return whole

  const made = new Set<Atom>(loops.flatMap(l => l.outputs))
  // A filled array is made by each loop for itself; the first part keeps it too if it still reads it.
  const fused = new Set(loops.flatMap(l => l.program.equations.filter(e => tail.has(e) && !isScalarFill(e))))
  const given = new Set(program.inputs)
  const read = new Set(loops.flatMap(l => l.inputs.filter(v => !given.has(v))))
  const rest = program.equations.filter(e => !fused.has(e))
  return {
    main: withoutDeadCode(new Program(program.inputs, rest, [...outputs.filter(o => !made.has(o)), ...read])),
    outputs,
    loops,
  }
}

const isScalarFill = (eqn: Equation): boolean => is(eqn, 'broadcastInDim') && eqn.inputs[0].aval.shape.length === 0

/** Equations that can be fused, whose results go to others of them and to the program's outputs alone. */
function elementwiseTail(program: Program, canFuse: (eqn: Equation) => boolean): Set<Equation> {
  const outside = new Set<Atom>()
  const tail = new Set<Equation>()
  for (const eqn of program.equations.toReversed()) {
    const [output] = eqn.outputs
    const fits = output.aval.shape.length > 0 && (canFuse(eqn) || isScalarFill(eqn)) && !outside.has(output)
    if (fits) tail.add(eqn)
    else eqn.inputs.forEach(a => outside.add(a))
  }
  return tail
}

/**
 * The tail's equations by the arrays that connect them, in order. A filled array connects nothing: each loop fills its
 * own.
 */
function components(program: Program, tail: ReadonlySet<Equation>): Equation[][] {
  const group = new Map<Atom, number>()
  const merged: number[] = []
  const find = (g: number): number => {
    while (merged[g] !== g) g = merged[g] = merged[merged[g]]
    return g
  }
  const equations = program.equations.filter(e => tail.has(e))
  const fills = new Map<Atom, Equation>(equations.filter(isScalarFill).map(e => [e.outputs[0], e]))
  const members = equations
    .filter(e => !isScalarFill(e))
    .map(eqn => {
      const id = merged.push(merged.length) - 1
      for (const a of [...eqn.inputs, ...eqn.outputs]) {
        if (a instanceof Lit || a.aval.shape.length === 0 || fills.has(a)) continue
        const other = group.get(a)
        if (other === undefined) group.set(a, id)
        else merged[find(other)] = find(id)
      }
      return { eqn, id }
    })
  // Sets: one loop may have thousands of equations.
  const byGroup = new Map<number, Set<Equation>>()
  for (const { eqn, id } of members) {
    const g = find(id)
    const list = byGroup.get(g) ?? new Set()
    for (const a of eqn.inputs) {
      const fill = fills.get(a)
      if (fill) list.add(fill)
    }
    byGroup.set(g, list.add(eqn))
  }
  return [...byGroup.values()].map(list => [...list])
}

/**
 * One loop, or null if no donated memory is there for it, or shapes differ, or something that enters or leaves is not
 * float32.
 */
function makeLoop(
  tail: readonly Equation[],
  returned: ReadonlyMap<Atom, number>,
  donatedInputs: ReadonlySet<Var>,
  makers: ReadonlyMap<Atom, Equation>,
): FusedLoop | null {
  const { shape } = tail[tail.length - 1].outputs[0].aval
  const equations = recomputeCheap(tail, makers)
  const inputs = inputsOf(equations)
  const outputs = equations
    .flatMap(e => e.outputs)
    .filter(o => returned.has(o))
    .sort((a, b) => returned.get(a)! - returned.get(b)!)
  const arrays = [...inputs.filter(v => v.aval.shape.length > 0), ...outputs]
  if (sizeOf(shape) === 0 || !arrays.every(v => sameShape(v.aval.shape, shape))) return null
  if (![...inputs, ...outputs].every(v => v.aval.dtype === 'float32')) return null
  const free = inputs.filter(v => donatedInputs.has(v))
  if (free.length === 0) return null
  const inPlace = outputs.map(o => {
    const at = free.findIndex(v => sameAval(v.aval, o.aval))
    return at < 0 ? null : free.splice(at, 1)[0]
  })
  return { program: new Program(inputs, equations, outputs), inputs, outputs, inPlace }
}

const inputsOf = (equations: readonly Equation[]): Var[] => {
  const defined = new Set<Atom>(equations.flatMap(e => e.outputs))
  return [...new Set(equations.flatMap(e => e.inputs).filter((a): a is Var => a instanceof Var && !defined.has(a)))]
}

/**
 * A value that both parts need (a gradient's square, for its norm and for Adam) is computed again by the loop if it
 * reads what the value is made of anyway: memory costs more than arithmetic.
 */
function recomputeCheap(tail: readonly Equation[], makers: ReadonlyMap<Atom, Equation>): Equation[] {
  const inputs = new Set<Atom>(inputsOf(tail))
  const recomputed: Equation[] = []
  for (const v of inputs) {
    const maker = makers.get(v)
    if (!maker?.inputs.every(a => a instanceof Lit || inputs.has(a))) continue
    inputs.delete(v)
    recomputed.push(maker)
  }
  // A later one may make what an earlier one reads.
  return [...recomputed.reverse(), ...tail]
}

/** Whether a backend can run a loop. */
function fits({ inputs, outputs, program }: FusedLoop, limits: LoopLimits): boolean {
  const operands = [...inputs, ...outputs]
  return (
    operands.length <= limits.maxOperands &&
    program.equations.length <= limits.maxEquations &&
    operands.reduce((sum, v) => sum + 4 * sizeOf(v.aval.shape), 0) <= limits.maxBytes
  )
}

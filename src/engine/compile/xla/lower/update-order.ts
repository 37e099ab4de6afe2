import type { PrimitiveName } from '../../../program/primitives.js'
import type { Atom, Equation, Program, Var } from '../../../program/program.js'

/** What an equation that replaces a donated input must wait for. */
export interface Update {
  readonly input: Var
  /** Results of equations that read the input. */
  readonly after: readonly Var[]
}

/** The primitives that are waited for: their results are in memory anyway. */
const waitedFor: ReadonlySet<PrimitiveName> = new Set(['dotGeneral', 'composite', 'gather', 'scan', 'while', 'cond'])

/**
 * The equations that replace a donated input, and the reads of that input which they must wait for.
 *
 * XLA writes into a donated input's memory only if the data flow says that all reads of it come before. It chooses no
 * order for that, but copies the input. In a training step each weight has such a read: the product for the gradient of
 * the layer's input. `aliases`: see `aliasesOf`.
 */
export function updateOrder(
  program: Program,
  aliases: readonly (number | null | undefined)[],
): ReadonlyMap<Equation, Update> {
  const inputs = updatedInputs(program, aliases)
  const updated = new Set<Atom>(inputs.values())
  const reads = program.equations.filter(
    eqn => waitedFor.has(eqn.primitive) && !inputs.has(eqn) && eqn.inputs.some(x => updated.has(x)),
  )
  const numbers = new Map(reads.map((eqn, number) => [eqn, number]))
  /** The reads that a value depends on, as a set of bits. */
  const dependences = new Map<Atom, Uint32Array>()
  const readsSoFar: Equation[] = []
  const order = new Map<Equation, Update>()
  for (const eqn of program.equations) {
    const bits = new Uint32Array(Math.ceil(reads.length / 32))
    for (const x of eqn.inputs) dependences.get(x)?.forEach((word, i) => (bits[i] |= word))
    const input = inputs.get(eqn)
    if (input) {
      const late = readsSoFar.filter(read => read.inputs.includes(input) && !hasBit(bits, numbers.get(read)!))
      if (late.length > 0) order.set(eqn, { input, after: late.flatMap(read => read.outputs) })
    }
    const number = numbers.get(eqn)
    if (number !== undefined) {
      bits[number >>> 5] |= 1 << (number & 31)
      readsSoFar.push(eqn)
    }
    for (const o of eqn.outputs) dependences.set(o, bits)
  }
  return order
}

const hasBit = (bits: Uint32Array, n: number): boolean => ((bits[n >>> 5] >>> (n & 31)) & 1) === 1

/** The equations that compute, from a donated input itself, the result that takes its memory. */
function updatedInputs(program: Program, aliases: readonly (number | null | undefined)[]): Map<Equation, Var> {
  const makers = new Map<Atom, Equation>()
  for (const eqn of program.equations) for (const o of eqn.outputs) makers.set(o, eqn)
  const found = new Map<Equation, Var>()
  aliases.forEach((output, i) => {
    const maker = typeof output === 'number' ? makers.get(program.outputs[output]) : undefined
    if (maker?.inputs.includes(program.inputs[i])) found.set(maker, program.inputs[i])
  })
  return found
}

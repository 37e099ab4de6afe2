import { is, Lit, Program, Var } from '../../program/program.js'
import type { Atom, Equation } from '../../program/program.js'
import { withoutDeadCode } from '../../transform/dead-code.js'

/**
 * The program with its calls inlined and without dead code, and otherwise unchanged: programs of one function at
 * several sizes keep the same equations, which `simplify` does not promise.
 */
export function inlineCalls(program: Program): Program {
  const equations: Equation[] = []
  const write = ({ inputs, equations: inner, outputs }: Program, given: readonly Atom[]): Atom[] => {
    const env = new Map<Var, Atom>(inputs.map((v, i) => [v, given[i]]))
    const read = (a: Atom): Atom => (a instanceof Lit ? a : env.get(a)!)
    for (const eqn of inner) {
      const operands = eqn.inputs.map(read)
      const isCall = is(eqn, 'call') || is(eqn, 'linearCall')
      const results = isCall ? write(eqn.params.program, operands) : eqn.outputs.map(o => new Var(o.aval))
      if (!isCall) equations.push({ ...eqn, inputs: operands, outputs: results as Var[] })
      eqn.outputs.forEach((v, i) => env.set(v, results[i]))
    }
    return outputs.map(read)
  }
  const outputs = write(program, program.inputs)
  return withoutDeadCode(new Program(program.inputs, equations, outputs))
}

/** A text that is equal for programs that differ in sizes alone: in shapes, parameters and the values of constants. */
export function structureOf({ inputs, equations, outputs }: Program): string {
  const names = new Map<Atom, number>()
  const define = (v: Var): void => void names.set(v, names.size)
  const use = (a: Atom): string => (a instanceof Lit ? 'constant' : String(names.get(a)))
  inputs.forEach(define)
  const lines = equations.map(eqn => {
    const operands = eqn.inputs.map(use).join(' ')
    eqn.outputs.forEach(define)
    return `${eqn.primitive} ${operands} : ${eqn.outputs.length}`
  })
  return [inputs.length, ...lines, outputs.map(use).join(' ')].join('\n')
}

/**
 * The program with the equations of `general`, a program of the same function at other sizes: a broadcast or reshape
 * that changes nothing at this program's sizes, and is therefore missing, is put back. Null if the programs differ in
 * more.
 */
export function alignedWith(general: Program, program: Program): Program | null {
  const { inputs, outputs } = program
  const counterpart = new Map<Atom, Atom>(general.inputs.map((v, i) => [v, inputs[i]]))
  /** The operand of each equation that was put back: the program's own equations read it instead. */
  const operandOf = new Map<Atom, Atom>()
  const own = (a: Atom): Atom => (operandOf.has(a) ? own(operandOf.get(a)!) : a)
  const isSame = (a: Atom, b: Atom): boolean => {
    const found = counterpart.get(a)
    return a instanceof Lit ? b instanceof Lit : found !== undefined && own(found) === b
  }
  const equations: Equation[] = []
  let next = 0
  for (const expected of general.equations) {
    const eqn = program.equations[next]
    if (eqn && isCounterpart(expected, eqn, isSame)) {
      next++
      equations.push({ ...eqn, inputs: expected.inputs.map((a, i) => counterpart.get(a) ?? eqn.inputs[i]) })
      expected.outputs.forEach((o, i) => counterpart.set(o, eqn.outputs[i]))
      continue
    }
    const [operand] = expected.inputs.map(a => counterpart.get(a))
    const [output] = expected.outputs
    const { primitive } = expected
    if (primitive !== 'broadcastInDim' && primitive !== 'reshape') return null
    if (operand?.aval.shape.length !== output.aval.shape.length) return null
    const { shape } = operand.aval
    const put = new Var(operand.aval)
    const params = primitive === 'reshape' ? { shape } : { shape, dims: shape.map((_, axis) => axis) }
    equations.push({ primitive, inputs: [operand], params, outputs: [put] } as Equation)
    operandOf.set(put, operand)
    counterpart.set(output, put)
  }
  if (next < program.equations.length || !general.outputs.every((a, i) => isSame(a, outputs[i]))) return null
  return new Program(
    inputs,
    equations,
    general.outputs.map((a, i) => counterpart.get(a) ?? outputs[i]),
  )
}

/** Whether two equations of programs at different sizes are the same one. `isSame` compares operands. */
function isCounterpart(general: Equation, eqn: Equation, isSame: (a: Atom, b: Atom) => boolean): boolean {
  return (
    general.primitive === eqn.primitive &&
    general.inputs.length === eqn.inputs.length &&
    general.inputs.every((a, i) => isSame(a, eqn.inputs[i])) &&
    general.outputs.every((o, i) => o.aval.shape.length === eqn.outputs[i].aval.shape.length) &&
    // The axes that a broadcast stretches are those of the general one, or fewer.
    (!is(eqn, 'broadcastInDim') || stretchedAxes(eqn).every(axis => stretchedAxes(general).includes(axis)))
  )
}

function stretchedAxes(eqn: Equation): number[] {
  const { shape, dims } = eqn.params as Equation<'broadcastInDim'>['params']
  const [operand] = eqn.inputs
  return shape.flatMap((length, axis) => {
    const from = dims.indexOf(axis)
    return from >= 0 && operand.aval.shape[from] === length ? [] : [axis]
  })
}

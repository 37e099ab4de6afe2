import { isFloat } from '../../base/dtypes.js'
import { SwitchyardError } from '../../base/errors.js'
import { hostScalar, toNumbers } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { Concrete } from '../compile/concrete.js'
import { interpret } from '../compile/reference/interpret.js'
import { formatAval } from '../program/aval.js'
import { Lit, Program, Var } from '../program/program.js'
import type { Atom, Equation } from '../program/program.js'
import { Literal } from '../program/value.js'
import { simplify } from '../transform/simplify.js'
import { fromHost } from './tensor.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * Finds where a NaN comes from: returns `f` in a form that the interpreter runs equation by equation, which is slow.
 * Throws a SwitchyardError at the first equation whose result has a NaN although no operand has one. The message names
 * the primitive, the operands' types and their ranges.
 */
export function debugNaNs<A extends TensorTree[], R extends TensorTree>(
  f: (...args: A) => R,
): (...args: A) => Promise<R> {
  return async (...args) => {
    const { values, def } = flattenArgs(args, 'debugNaNs')
    const { program, captured, outputDef } = traceTree(
      f,
      def,
      values.map(v => v.aval),
    )
    const inputs = await Promise.all(
      [...values, ...captured].map(v => {
        if (v instanceof Concrete) return v.read()
        if (v instanceof Literal) return hostScalar(v.dtype, v.value)
        throw new SwitchyardError('debugNaNs needs arrays with data: call it outside of traced functions')
      }),
    )
    return rebuild<R>(
      outputDef,
      runChecked(simplify(program), inputs).map(t => fromHost(t).value),
    )
  }
}

function runChecked(program: Program, inputs: readonly HostTensor[]): HostTensor[] {
  const env = new Map<Var, HostTensor>(program.inputs.map((v, i) => [v, inputs[i]]))
  const read = (a: Atom): HostTensor => (a instanceof Lit ? hostScalar(a.aval.dtype, a.value) : env.get(a)!)
  for (const eqn of program.equations) {
    const operands = eqn.inputs.filter((a): a is Var => a instanceof Var)
    const outputs = interpret(new Program(operands, [eqn], eqn.outputs), operands.map(read))
    if (outputs.some(hasNaN) && !operands.map(read).some(hasNaN))
      throw new SwitchyardError(describe(eqn, eqn.inputs.map(read)))
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(read)
}

const hasNaN = (t: HostTensor): boolean => isFloat(t.dtype) && toNumbers(t).some(Number.isNaN)

function describe(eqn: Equation, operands: readonly HostTensor[]): string {
  const name = 'name' in eqn.params ? `${eqn.primitive}[${eqn.params.name}]` : eqn.primitive
  const ranges = operands.map(t => {
    const numbers = toNumbers(t)
    const [low, high] = numbers.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity])
    return `${formatAval(t)} from ${low} to ${high}`
  })
  return `NaN came from ${name}(${ranges.join(', ')})`
}

import { sizeOf } from '../../base/host-tensor.js'
import { is } from './program.js'
import type { Equation, Program } from './program.js'

/**
 * Multiplications and additions of a program's matrix products, those of subprograms included; a loop's body counts
 * each time.
 */
export function productFlops(program: Program): number {
  return program.equations.reduce((sum, eqn) => {
    if (is(eqn, 'dotGeneral')) {
      const [x] = eqn.inputs
      return sum + 2 * sizeOf(eqn.outputs[0].aval.shape) * sizeOf(eqn.params.contract[0].map(d => x.aval.shape[d]))
    }
    return sum + (is(eqn, 'scan') ? eqn.params.length : 1) * subprograms(eqn).reduce((n, p) => n + productFlops(p), 0)
  }, 0)
}

/**
 * The subprograms that an equation runs; for `cond`, all branches. The derivative programs of a composite do not count.
 */
function subprograms(eqn: Equation): Program[] {
  if (is(eqn, 'call') || is(eqn, 'composite') || is(eqn, 'linearCall')) return [eqn.params.program]
  if (is(eqn, 'scan')) return [eqn.params.body]
  if (is(eqn, 'while')) return [eqn.params.condition, eqn.params.body]
  if (is(eqn, 'cond')) return [...eqn.params.branches]
  return []
}

import { sizeOf } from '../../base/host-tensor.js'
import { is } from './program.js'
import type { Equation, Program } from './program.js'
import { subprograms } from './subprograms.js'

/**
 * Multiplications and additions of a program's matrix products, those of subprograms included; a loop's body counts
 * each time, and that of a shardMap for each device.
 */
export function productFlops(program: Program): number {
  return program.equations.reduce((sum, eqn) => {
    if (is(eqn, 'dotGeneral')) {
      const [x] = eqn.inputs
      return sum + 2 * sizeOf(eqn.outputs[0].aval.shape) * sizeOf(eqn.params.contract[0].map(d => x.aval.shape[d]))
    }
    return sum + timesRun(eqn) * subprograms(eqn).reduce((n, p) => n + productFlops(p), 0)
  }, 0)
}

/** How often an equation runs its subprograms. */
const timesRun = (eqn: Equation): number =>
  is(eqn, 'scan') ? eqn.params.length : is(eqn, 'shardMap') ? eqn.params.mesh.size : 1

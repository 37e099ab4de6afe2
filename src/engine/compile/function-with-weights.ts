import type { Value } from '../program/value.js'
import type { SizedProgram } from './backend.js'
import type { Concrete } from './concrete.js'

/** A function compiled with its weights: see `Backend.compileWithWeights`. */
export interface FunctionWithWeights {
  /** Once compiled: the positions of the weights that were copied, and whose arrays are therefore no longer needed. */
  readonly copied: Promise<readonly number[]>
  /** Once compiled: see `CompiledWithWeights`. */
  readonly eachSizeBecause: Promise<string | undefined>
  /** The function at the sizes of this program. */
  at(program: SizedProgram): FunctionAtSizes
}

/** A function with weights, at one set of sizes of its other inputs. */
export interface FunctionAtSizes {
  /** Settles when it is compiled. Rejects if that fails, as each run does. */
  readonly compiled: Promise<unknown>
  run(others: readonly Value[]): Concrete[]
  /** Frees what only these sizes need, after the runs that have begun. It cannot run afterwards. */
  release(): void
}

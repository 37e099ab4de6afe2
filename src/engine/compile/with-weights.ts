import type { Buffer, Executable } from './backend.js'

/**
 * Wraps an executable so that callers pass only the inputs that are not weights; the weights are filled in. `weights`
 * has null where the caller supplies the input.
 */
export function withWeights(executable: Executable, weights: readonly (Buffer | null)[]): Executable {
  const filled = (others: readonly Buffer[]): Buffer[] => {
    const rest = others[Symbol.iterator]()
    return weights.map(buffer => buffer ?? rest.next().value!)
  }
  return {
    stats: executable.stats,
    ...(executable.shardings && { shardings: executable.shardings }),
    run: (others, written, name) => executable.run(filled(others), written, name),
    ...(executable.runNow && { runNow: (others, name) => executable.runNow!(filled(others), name) }),
    release: () => executable.release(),
  }
}

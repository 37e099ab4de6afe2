import type { Buffer, Executable } from './backend.js'

/**
 * Wraps an executable so that callers pass only the inputs that are not weights; the weights are filled in. `weights`
 * has null where the caller supplies the input.
 */
export const withWeights = (executable: Executable, weights: readonly (Buffer | null)[]): Executable => ({
  stats: executable.stats,
  run: (others, written) => {
    const rest = others[Symbol.iterator]()
    return executable.run(
      weights.map(buffer => buffer ?? rest.next().value!),
      written,
    )
  },
  release: () => executable.release(),
})

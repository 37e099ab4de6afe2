import type { Buffer, Executable } from './backend.js'

/** An executable that is given the inputs that are not bound, and gets the others from here. */
export const withBound = (executable: Executable, bound: readonly (Buffer | null)[]): Executable => ({
  stats: executable.stats,
  run: others => {
    const rest = others[Symbol.iterator]()
    return executable.run(bound.map(buffer => buffer ?? rest.next().value!))
  },
})

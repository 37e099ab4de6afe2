import { ComputationError, SwitchyardError } from '../../base/errors.js'

/**
 * Errors whose messages begin with a function. An array that was to be computed from a failed one fails with the same.
 */
const namedErrors = new WeakSet<Error>()

/** An error of a library's compilation or run, whose message is made to begin with the function. */
export function named(error: unknown, origin: string): unknown {
  if (!(error instanceof Error) || namedErrors.has(error)) return error
  namedErrors.add(error)
  const isForeign = error instanceof ComputationError || !(error instanceof SwitchyardError)
  if (isForeign && !error.message.startsWith(origin)) error.message = `${origin}: ${error.message}`
  return error
}

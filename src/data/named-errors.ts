import { ConfigError, prefixed, SwitchyardError } from '../base/errors.js'
import type { Dataset } from './dataset.js'

/** Errors whose message names a part of a task already. */
const named = new WeakSet<object>()

/**
 * Runs a part of a task. The message of an error begins with the part's name (`the task pos: preprocessor 1 (rekey)`),
 * unless it names a part already. An error that a user's own function throws becomes a ConfigError.
 */
export async function withName<T>(part: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw namedError(part, error)
  }
}

/** As `withName`, for a synchronous function. */
export function withNameSync<T>(part: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw namedError(part, error)
  }
}

/** Wraps a dataset so that its errors name the part of the task that it belongs to. */
export const namedDataset = <T>(part: string, dataset: Dataset<T>): Dataset<T> => ({
  get length() {
    return withNameSync(part, () => dataset.length)
  },
  get period() {
    return dataset.period
  },
  get(index) {
    try {
      return dataset.get(index)
    } catch (error) {
      throw namedError(part, error)
    }
  },
})

function namedError(part: string, error: unknown): unknown {
  // A RangeError is an index without an example or a failed allocation: the part did nothing wrong.
  if (!(error instanceof Error) || error instanceof RangeError || named.has(error)) return error
  const result =
    error instanceof SwitchyardError
      ? prefixed(part, error)
      : new ConfigError(`${part}: ${placeOf(error)}${error.name}: ${error.message}`, { cause: error })
  named.add(result as Error)
  return result
}

/** The file and line that threw an error, if its stack says so. */
function placeOf({ stack = '' }: Error): string {
  const place = /^ +at (?:.*\()?((?!node:)[^\s()]+:\d+:\d+)\)?$/m.exec(stack.split('\n').slice(1, 2).join())?.[1]
  return place === undefined ? '' : `${place}: `
}

/**
 * The base class of all errors that a user can cause. The message says what was wrong (file, tensor, shape, key) and
 * what to do. An error of any other class is a bug in Switchyard.
 */
export class SwitchyardError extends Error {
  override name = 'SwitchyardError'
}

/** An error of the library that compiles and runs programs. */
export class ComputationError extends SwitchyardError {}

/** Wrong shapes, dtypes or arguments given to an array function. */
export class ShapeError extends SwitchyardError {
  override name = 'ShapeError'
}

/** A configuration key, value or command-line argument that must be changed. The command line exits with code 2. */
export class ConfigError extends SwitchyardError {
  override name = 'ConfigError'
}

/** A file that is missing, damaged or not in the expected format. */
export class FileError extends SwitchyardError {
  override name = 'FileError'
}

/** An error that a user can cause, with a beginning that says where it is; any other error as it is. */
export function prefixed(where: string, error: unknown): unknown {
  if (!(error instanceof SwitchyardError)) return error
  const Kind = [ConfigError, FileError].find(kind => error instanceof kind) ?? SwitchyardError
  return new Kind(`${where}: ${error.message}`, { cause: error })
}

/** Throws a ShapeError unless `condition` holds. */
export function check(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new ShapeError(typeof message === 'string' ? message : message())
}

/** Marks a branch that TypeScript proves unreachable. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}

import { ConfigError, FileError, ShapeError, SwitchyardError } from '../../base/errors.js'
import type { SentError } from './messages.js'

/** The classes that an error keeps on its way between processes. */
const kinds = new Map(
  [ConfigError, FileError, ShapeError, SwitchyardError].map(Kind => [new Kind().name, Kind] as const),
)

export const toSent = (error: unknown): SentError =>
  error instanceof Error
    ? { name: error.name, message: error.message, stack: error.stack }
    : { name: 'Error', message: String(error) }

/** The error that another process has sent, of the class that it had there. */
export function fromSent({ name, message, stack }: SentError): Error {
  const Kind = kinds.get(name) ?? Error
  const error = new Kind(message)
  if (stack !== undefined) error.stack = stack
  return error
}

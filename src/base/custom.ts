import { z } from 'zod'
import { ConfigError } from './errors.js'

/**
 * A placeholder in a configuration for a custom value (a task, an optimizer) that a program passed instead of a
 * built-in one. A file can hold only its name, so a program that loads the configuration must pass the value again.
 */
export interface Custom {
  kind: 'custom'
  name: string
}

export const customSchema = z.strictObject({
  kind: z.literal('custom'),
  name: z.string().min(1),
}) satisfies z.ZodType<Custom>

/** A configuration names a custom value that was not passed. */
export class MissingValueError extends ConfigError {
  override name = 'MissingValueError'
}

/**
 * The error for a configuration that names a custom value which was not passed. `what` is the option that passes it.
 */
export const missingValue = (what: string, name: string): MissingValueError =>
  new MissingValueError(
    `the ${what} "${name}" is not built in: the program that began this run supplied it. Supply it again from a program, as { ${what} }, or in a switchyard.config.ts of the working folder`,
  )

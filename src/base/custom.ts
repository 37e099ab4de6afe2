import { z } from 'zod'
import { ConfigError } from './errors.js'

/**
 * Stands in a configuration for a value that a program supplied (a task, an optimizer ...) in place of a built-in one. A
 * file cannot hold the value itself, only its name: who reads the configuration back supplies the value again.
 */
export interface Custom {
  kind: 'custom'
  name: string
}

export const customSchema = z.strictObject({
  kind: z.literal('custom'),
  name: z.string().min(1),
}) satisfies z.ZodType<Custom>

/** The error for a configuration that names a custom value which was not supplied. `what` is the key it is supplied under. */
export const missingValue = (what: string, name: string): ConfigError =>
  new ConfigError(
    `the ${what} "${name}" is not built in: the program that began this run supplied it. Supply it again from a program, as { ${what} }`,
  )

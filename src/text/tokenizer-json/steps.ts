import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { escapeRegExp } from '../../base/reg-exp.js'

/** A step of a tokenizer.json: its type, and settings that each type has of its own. */
export const stepSchema = z.looseObject({ type: z.string() })
export type Step = z.infer<typeof stepSchema>

export const describeStep = ({ type }: Step): string => `the step ${JSON.stringify(type)} of the tokenizer.json`

export const unsupported = (kind: string, step: Step): ConfigError =>
  new ConfigError(`the ${kind} ${JSON.stringify(step.type)} of the tokenizer.json is not supported`)

/** The pattern of a Replace or Split step, for all matches. Throws a ConfigError if JavaScript cannot read it. */
export function patternOf(step: Step, kind: string): RegExp {
  const { String: text, Regex: regex } = (step.pattern ?? {}) as { String?: unknown; Regex?: unknown }
  if (typeof text === 'string' && text !== '') return new RegExp(escapeRegExp(text), 'gu')
  try {
    if (typeof regex === 'string' && regex.length < MAX_PATTERN) return new RegExp(regex, 'gu')
  } catch {
    // The error below says which step it is.
  }
  throw new ConfigError(
    `the ${kind} ${JSON.stringify(step.type)} of the tokenizer.json has a pattern that cannot be read: ${JSON.stringify(step.pattern)}`,
  )
}

const MAX_PATTERN = 10_000

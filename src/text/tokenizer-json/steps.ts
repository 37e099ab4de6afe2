import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'

/** A step of a tokenizer.json: its type, and settings that each type has of its own. */
export const stepSchema = z.looseObject({ type: z.string() })
export type Step = z.infer<typeof stepSchema>

const MAX_DEPTH = 100
const lists = ['normalizers', 'pretokenizers', 'decoders', 'processors']

/** A step of any kind, with a limit for lists of steps in lists of steps. */
export const wholeStepSchema = stepSchema.refine(
  step => {
    let level: unknown[] = [step]
    for (let depth = 0; level.length > 0; depth++) {
      if (depth > MAX_DEPTH) return false
      level = level.flatMap(each => lists.flatMap(key => (each as Record<string, unknown> | null)?.[key] ?? []))
    }
    return true
  },
  { error: `its steps are nested more than ${MAX_DEPTH} deep` },
)

export const describeStep = ({ type }: Step): string => `the step ${JSON.stringify(type)} of the tokenizer.json`

export const unsupported = (kind: string, step: Step): ConfigError =>
  new ConfigError(
    `the ${kind} ${JSON.stringify(step.type)} of the tokenizer.json is not supported: encode the texts with the tokenizers library, or use another vocabulary`,
  )

/** A ConfigError about a setting of a step. */
export const wrongSetting = (kind: string, step: Step, key: string, must: string): ConfigError =>
  new ConfigError(
    `the ${kind} ${JSON.stringify(step.type)} of the tokenizer.json has the ${key} ${JSON.stringify(step[key])}; it must be ${must}`,
  )

/** A setting that is a text. Throws a ConfigError if it is none. */
export function textIn(step: Step, key: string, kind: string, otherwise?: string): string {
  const value = step[key] ?? otherwise
  if (typeof value !== 'string') throw wrongSetting(kind, step, key, 'a text')
  return value
}

/** A setting that is one character. Throws a ConfigError if it is none. */
export function characterIn(step: Step, key: string, kind: string, otherwise?: string): string {
  const value = textIn(step, key, kind, otherwise)
  if (Array.from(value).length !== 1) throw wrongSetting(kind, step, key, 'one character')
  return value
}

/** A step by itself, or the steps of a "Sequence", also of sequences in it, in the order in which they are applied. */
export const flatSteps = (step: Step, key: Parameters<typeof stepsIn>[1], kind: string): Step[] =>
  step.type === 'Sequence' ? stepsIn(step, key, kind).flatMap(each => flatSteps(each, key, kind)) : [step]

/**
 * Throws a ConfigError if steps have made too long a text of one: a few steps that each double a text would fill the
 * memory. No character becomes more than 18 others in Unicode's normalization.
 */
export function checkGrowth(kind: string, before: number, after: number): void {
  if (after > 100 * before + 100_000)
    throw new ConfigError(
      `the steps of the ${kind} of the tokenizer.json make ${formatCount(after)} characters of a text of ${formatCount(before)}: it is broken, so use another vocabulary`,
    )
}

/** The steps of a "Sequence". Throws a ConfigError if they are no list of steps. */
function stepsIn(step: Step, key: 'normalizers' | 'pretokenizers' | 'decoders', kind: string): Step[] {
  const result = z.array(stepSchema).safeParse(step[key])
  if (!result.success) throw wrongSetting(kind, step, key, 'a list of steps')
  return result.data
}

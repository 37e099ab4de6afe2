import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { describeStep, stepSchema, unsupported } from './steps.js'
import type { Step } from './steps.js'

/** The ids of the special tokens around a text. */
export interface Around {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

const id = z.int().min(0)
const templateSchema = z.looseObject({
  single: z.array(
    z.union([
      z.object({ Sequence: z.looseObject({ id: z.literal('A') }) }),
      z.object({ SpecialToken: z.looseObject({ id: z.string() }) }),
    ]),
  ),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(id) })),
})
const token = z.tuple([z.string(), id])
const clsAndSepSchema = z.looseObject({ cls: token, sep: token })
const sequenceSchema = z.looseObject({ processors: z.array(stepSchema) })

const clsAndSep = (step: Step): Around => {
  const { cls, sep } = parse(step, clsAndSepSchema)
  return { before: [cls[1]], after: [sep[1]] }
}

/** The post-processors of a tokenizer.json by their types: what each puts around a single text. */
const postProcessors: Record<string, (step: Step) => Around> = {
  TemplateProcessing: step => {
    const { single, special_tokens: tokens } = parse(step, templateSchema)
    const at = single.findIndex(part => 'Sequence' in part)
    if (at < 0) throw new ConfigError(`${describeStep(step)} does not contain the text`)
    const idsOf = (parts: typeof single): number[] =>
      parts.flatMap(part => {
        const known = 'SpecialToken' in part ? tokens[part.SpecialToken.id]?.ids : undefined
        if (!known)
          throw new ConfigError(`${describeStep(step)} does not contain the text once, or lacks a token's ids`)
        return known
      })
    return { before: idsOf(single.slice(0, at)), after: idsOf(single.slice(at + 1)) }
  },
  RobertaProcessing: clsAndSep,
  BertProcessing: clsAndSep,
  // It changes the offsets of tokens only.
  ByteLevel: () => NOTHING,
  Sequence: step => {
    const all = parse(step, sequenceSchema).processors.map(aroundOf)
    const adding = all.filter(({ before, after }) => before.length + after.length > 0)
    // The library lets the second one treat the tokens of the first as texts.
    if (adding.length > 1)
      throw new ConfigError(
        'the post-processor "Sequence" of the tokenizer.json adds tokens twice, which is not supported',
      )
    return adding[0] ?? NOTHING
  },
}

const NOTHING: Around = { before: [], after: [] }

/** What a tokenizer.json's post-processor puts around a text. A ConfigError names a step that is not supported. */
export function aroundOf(step: Step | null | undefined): Around {
  if (step === null || step === undefined) return NOTHING
  if (!Object.hasOwn(postProcessors, step.type)) throw unsupported('post-processor', step)
  return postProcessors[step.type](step)
}

function parse<T>(step: Step, schema: z.ZodType<T>): T {
  const result = schema.safeParse(step)
  if (!result.success) throw new ConfigError(`${describeStep(step)} cannot be read: ${z.prettifyError(result.error)}`)
  return result.data
}

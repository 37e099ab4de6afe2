import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { sentinelNumber } from '../sentinels.js'
import { addedTokenSchema } from './added-tokens.js'
import type { AddedToken } from './added-tokens.js'
import { stepSchema } from './steps.js'

const MAX_PIECES = 1_000_000
const id = z
  .int()
  .min(0)
  .max(2 * MAX_PIECES)

const unigramSchema = z.looseObject({
  type: z.literal('Unigram'),
  unk_id: id.nullish(),
  vocab: z
    .array(z.tuple([z.string(), z.number()]))
    .min(1)
    .max(MAX_PIECES),
  byte_fallback: z.boolean().nullish(),
})
const tableSchema = z.looseObject({
  type: z.enum(['BPE', 'WordPiece', 'WordLevel']),
  unk_token: z.string().nullish(),
  vocab: z.record(z.string(), id),
})

/** The parts of a tokenizer.json that are read. */
export const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).nullish(),
  normalizer: stepSchema.nullish(),
  pre_tokenizer: stepSchema.nullish(),
  post_processor: stepSchema.nullish(),
  decoder: stepSchema.nullish(),
  model: z.discriminatedUnion('type', [unigramSchema, tableSchema], {
    error: 'its type must be "Unigram", "BPE", "WordPiece" or "WordLevel"',
  }),
})

type Json = z.infer<typeof tokenizerSchema>
export type UnigramJson = Json & { readonly model: z.infer<typeof unigramSchema> }
export type TableJson = Json & { readonly model: z.infer<typeof tableSchema> }

/** The texts of the special tokens, from a tokenizer_config.json; left out where they are the usual ones. */
export interface SpecialTokens {
  readonly pad?: string
  readonly eos?: string
  readonly unk?: string
}

const usual = { pad: ['<pad>', '[PAD]'], eos: ['</s>', '[EOS]', '<eos>', '[SEP]'], unk: ['<unk>', '[UNK]'] } as const

/** The id of a special token, by the text that is given or else a usual one. */
export function specialId(kind: keyof SpecialTokens, given: SpecialTokens, ids: ReadonlyMap<string, number>): number {
  const texts = given[kind] === undefined ? usual[kind] : [given[kind]]
  const found = texts.map(text => ids.get(text)).find(each => each !== undefined)
  if (found === undefined)
    throw new ConfigError(
      `the tokenizer.json has no ${kind} token (${texts.join(', ')}): name it as ${kind}_token in the tokenizer_config.json beside it`,
    )
  return found
}

/** The ids of the sentinels `<extra_id_0>`, `<extra_id_1>` ... as far as they go. */
export function sentinelsIn(tokens: readonly Pick<AddedToken, 'id' | 'content'>[]): number[] {
  const ids = new Map(tokens.map(token => [sentinelNumber(token.content), token.id]))
  const result: number[] = []
  for (let next = ids.get(0); next !== undefined; next = ids.get(result.length)) result.push(next)
  return result
}

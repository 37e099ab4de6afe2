import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { sentinelNumber } from '../sentinels.js'
import { addedTokenSchema } from './added-tokens.js'
import type { AddedToken } from './added-tokens.js'
import type { Around } from './post-processors.js'
import { wholeStepSchema } from './steps.js'

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
const unknownAndVocab = { unk_token: z.string().nullish(), vocab: z.record(z.string(), id) }
const bpeSchema = z.looseObject({
  type: z.literal('BPE'),
  ...unknownAndVocab,
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])).max(MAX_PIECES),
  dropout: z.number().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
})
const wordPieceSchema = z.looseObject({
  type: z.literal('WordPiece'),
  ...unknownAndVocab,
  continuing_subword_prefix: z.string().nullish(),
  max_input_chars_per_word: z.int().min(0).nullish(),
})
const wordLevelSchema = z.looseObject({ type: z.literal('WordLevel'), ...unknownAndVocab })

/** The type of a model that does not name it, as files of early versions of the tokenizers library do not. */
function untypedModel({ vocab, ...model }: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(vocab)) return 'Unigram'
  if (model.merges !== undefined) return 'BPE'
  return model.max_input_chars_per_word === undefined ? 'WordLevel' : 'WordPiece'
}

const isUntyped = (model: unknown): model is Readonly<Record<string, unknown>> =>
  typeof model === 'object' && model !== null && 'vocab' in model && !('type' in model)

const modelSchema = z.preprocess(
  model => (isUntyped(model) ? { type: untypedModel(model), ...model } : model),
  z.discriminatedUnion('type', [unigramSchema, bpeSchema, wordPieceSchema, wordLevelSchema], {
    error: 'its type must be "Unigram", "BPE", "WordPiece" or "WordLevel"',
  }),
)

/** The parts of a tokenizer.json that are read. */
export const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).nullish(),
  normalizer: wholeStepSchema.nullish(),
  pre_tokenizer: wholeStepSchema.nullish(),
  post_processor: wholeStepSchema.nullish(),
  decoder: wholeStepSchema.nullish(),
  model: modelSchema,
})

/** The first faults of a value, as a text. A list of another form may have one for each of its items. */
export const firstFaults = ({ issues }: z.ZodError): string => z.prettifyError({ issues: issues.slice(0, 3) })

export type TokenizerJson = z.infer<typeof tokenizerSchema>
export type UnigramModel = z.infer<typeof unigramSchema>
export type TableModel = Exclude<TokenizerJson['model'], UnigramModel>

/** The special tokens by the names that a tokenizer_config.json gives them, as in `pad_token`. */
export const specialNames = ['pad', 'eos', 'unk', 'bos', 'cls', 'sep', 'mask'] as const

/** The texts of the special tokens, from a tokenizer_config.json; left out where they are the usual ones. */
export type SpecialTokens = { readonly [name in (typeof specialNames)[number]]?: string }

/** The ids of special tokens that a decoded text does not show, as HF's `skip_special_tokens`. */
export const skippedIds = (
  special: SpecialTokens,
  { before, after }: Around,
  ids: ReadonlyMap<string, number>,
): ReadonlySet<number> =>
  new Set([
    ...before,
    ...after,
    ...specialNames.flatMap(name => (name === 'unk' ? [] : (ids.get(special[name] ?? '') ?? []))),
  ])

const usual = { pad: ['<pad>', '[PAD]'], eos: ['</s>', '[EOS]', '<eos>', '[SEP]'], unk: ['<unk>', '[UNK]'] } as const

/** The id of a special token, by the text that is given or else a usual one. */
export function specialId(kind: keyof typeof usual, given: SpecialTokens, ids: ReadonlyMap<string, number>): number {
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

import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { fromBase64 } from './base64.js'
import { SPACE_SYMBOL } from './normalizer.js'
import { SentencePieceVocabulary } from './sentencepiece.js'
import { sentinelNumber } from './sentinels.js'
import { UNKNOWN_SURFACE } from './spiece-model.js'
import type { Piece, PieceType } from './spiece-model.js'
import { EOS_ID, PAD_ID, UNK_ID } from './vocabulary.js'

// The steps of a tokenizer.json that together do what SentencePiece does. Other steps are refused rather than ignored.
const normalizerStep = z.discriminatedUnion('type', [
  z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.string() }),
  z.object({ type: z.literal('Strip'), strip_right: z.literal(true) }),
  z.object({
    type: z.literal('Replace'),
    pattern: z.strictObject({ Regex: z.literal(' {2,}') }),
    content: z.enum([' ', SPACE_SYMBOL]),
  }),
])
const preTokenizerStep = z.discriminatedUnion('type', [
  z.object({ type: z.literal('WhitespaceSplit') }),
  z.object({
    type: z.literal('Metaspace'),
    replacement: z.literal(SPACE_SYMBOL),
    add_prefix_space: z.boolean().optional(),
    prepend_scheme: z.enum(['first', 'always', 'never']).optional(),
  }),
])

const tokenizerSchema = z.object({
  added_tokens: z.array(z.object({ id: z.int().min(0), content: z.string() })).optional(),
  normalizer: z
    .union([z.object({ type: z.literal('Sequence'), normalizers: z.array(normalizerStep) }), normalizerStep])
    .nullish(),
  pre_tokenizer: z.union([
    z.object({ type: z.literal('Sequence'), pretokenizers: z.array(preTokenizerStep) }),
    preTokenizerStep,
  ]),
  model: z.object({
    type: z.literal('Unigram', 'must be "Unigram": only Unigram models, as in T5, are supported'),
    unk_id: z.literal(UNK_ID),
    vocab: z.array(z.tuple([z.string(), z.number()])).max(1_000_000),
    byte_fallback: z.boolean().optional(),
  }),
})

/**
 * Reads a `tokenizer.json` of the T5 family (a Unigram model with a Precompiled normalizer and a Metaspace
 * pre-tokenizer). The result equals the vocabulary of the `spiece.model` that the file was made from. A ConfigError
 * names a step that is not supported.
 */
export function fromTokenizerJson(json: unknown): SentencePieceVocabulary {
  const result = tokenizerSchema.safeParse(json)
  if (!result.success) throw new ConfigError(`not a tokenizer.json of the T5 family: ${z.prettifyError(result.error)}`)
  const { added_tokens: added = [], normalizer, pre_tokenizer: preTokenizer, model } = result.data
  const byteFallback = model.byte_fallback ?? false
  const pieces = model.vocab.map(([text, score], id): Piece => ({
    text,
    score: Math.fround(score),
    type: typeOf(text, id, byteFallback),
  }))
  for (const { id, content } of [...added].sort((a, b) => a.id - b.id)) addToken(pieces, id, content)
  const maps = stepsOf(normalizer).flatMap(step => (step.type === 'Precompiled' ? [step.precompiled_charsmap] : []))
  if (maps.length > 1)
    throw new ConfigError(`a tokenizer.json with ${maps.length} Precompiled normalizers; one was expected`)
  const metaspace = stepsOf(preTokenizer).find(step => step.type === 'Metaspace')
  if (metaspace === undefined)
    throw new ConfigError('a tokenizer.json without a Metaspace pre-tokenizer is not of the T5 family')
  return new SentencePieceVocabulary({
    pieces,
    normalizer: {
      charsmap: fromBase64(maps[0] ?? '', 'the precompiled_charsmap of the tokenizer.json'),
      addDummyPrefix:
        metaspace.prepend_scheme === undefined
          ? metaspace.add_prefix_space !== false
          : metaspace.prepend_scheme !== 'never',
      removeExtraWhitespaces: true,
    },
    byteFallback,
    unknownSurface: UNKNOWN_SURFACE,
  })
}

function typeOf(text: string, id: number, byteFallback: boolean): PieceType {
  if (id === PAD_ID || id === EOS_ID) return 'control'
  if (id === UNK_ID) return 'unknown'
  return byteFallback && /^<0x[0-9A-F]{2}>$/u.test(text) ? 'byte' : 'normal'
}

/**
 * Checks the added tokens: each repeats a special piece of the model, or is a sentinel, which may follow the pieces.
 */
function addToken(pieces: Piece[], id: number, content: string): void {
  if (pieces[id]?.text === content && (id <= UNK_ID || isSentinel(content))) return
  if (id === pieces.length && isSentinel(content)) pieces.push({ text: content, score: 0, type: 'userDefined' })
  else
    throw new ConfigError(
      `the added token ${JSON.stringify(content)} with the id ${id} of the tokenizer.json is neither a special piece nor a sentinel: such tokens are not supported`,
    )
}

const isSentinel = (text: string): boolean =>
  sentinelNumber(text.startsWith(SPACE_SYMBOL) ? text.slice(1) : text) !== undefined

type Step = z.infer<typeof normalizerStep> | z.infer<typeof preTokenizerStep>
function stepsOf<S extends Step>(
  step: S | { type: 'Sequence'; normalizers: S[] } | { type: 'Sequence'; pretokenizers: S[] } | null | undefined,
): S[] {
  if (step === null || step === undefined) return []
  if (step.type !== 'Sequence') return [step as S]
  return 'normalizers' in step ? step.normalizers : (step as { pretokenizers: S[] }).pretokenizers
}

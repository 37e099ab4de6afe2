import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { toBase64 } from '../base64.js'
import { SPACE_SYMBOL } from '../normalizer.js'
import { SentencePieceVocabulary, T5_SENTINELS } from '../sentencepiece.js'
import { MAX_SENTINELS, sentinelNumber, sentinelText } from '../sentinels.js'
import type { SentencePieceModel } from '../spiece-model.js'
import type { Vocabulary } from '../vocabulary.js'
import { fromTokenizerJson, parseTokenizerJson } from '../tokenizer-json.js'
import { addedTokenSchema, addedTokensById } from './added-tokens.js'
import type { AddedToken } from './added-tokens.js'
import { JsonTokenizer } from './json-tokenizer.js'
import { decoderOfPieces, endsWithEos, openedByClass } from './tokenizer-class.js'
import type { ClassFacts } from './tokenizer-class.js'
import { firstFaults, specialNames } from './schema.js'

type TokenText = Omit<AddedToken, 'id'>
const tokenText = z.union([
  z.string().transform((content): TokenText => ({ content })),
  addedTokenSchema.omit({ id: true }),
])
const tokenList = z.union([z.array(tokenText), z.record(z.string(), tokenText).transform(Object.values<TokenText>)])
const specialSchema = z.looseObject({
  pad_token: tokenText.nullish(),
  eos_token: tokenText.nullish(),
  unk_token: tokenText.nullish(),
  bos_token: tokenText.nullish(),
  cls_token: tokenText.nullish(),
  sep_token: tokenText.nullish(),
  mask_token: tokenText.nullish(),
  additional_special_tokens: tokenList.nullish(),
  extra_special_tokens: tokenList.nullish(),
})
const configSchema = specialSchema.extend({
  tokenizer_class: z.string().nullish(),
  extra_ids: z.int().min(0).max(MAX_SENTINELS).nullish(),
  add_prefix_space: z.boolean().nullish(),
  added_tokens_decoder: addedTokensById.nullish(),
})
const tokenIds = z.record(z.string(), addedTokenSchema.shape.id)
/** So much of a line is in a message. */
const MAX_SHOWN = 60
const tokenizerSchema = z.looseObject({ added_tokens: z.array(addedTokenSchema) })

/** What the JSON files beside a vocabulary say of it. */
export interface TokenizerFacts extends ClassFacts {
  /** How many sentinels follow the pieces; undefined where no file says it. */
  readonly sentinels: number | undefined
  readonly addPrefixSpace: boolean
}

/**
 * Collects the facts of tokenizer_config.json, special_tokens_map.json, added_tokens.json and the added tokens of
 * tokenizer.json. Throws a ConfigError that names a file whose content is of another form.
 */
export function tokenizerFacts(files: {
  readonly config?: unknown
  readonly specialTokens?: unknown
  readonly added?: unknown
  readonly tokenizer?: unknown
  readonly isModel: boolean
}): TokenizerFacts {
  const config = parse('tokenizer_config.json', configSchema, files.config ?? {})
  const map = parse('special_tokens_map.json', specialSchema, files.specialTokens ?? {})
  const added = new Map<number, AddedToken>()
  // Tokens of added_tokens.json are matched in the normalized text, as transformers adds them.
  for (const [content, id] of Object.entries(parse('added_tokens.json', tokenIds, files.added ?? {})))
    added.set(id, { id, content, normalized: sentinelNumber(content) === undefined })
  const listed = tokenizerSchema.safeParse(files.tokenizer)
  for (const token of listed.data?.added_tokens ?? []) added.set(token.id, token)
  for (const [id, token] of Object.entries(config.added_tokens_decoder ?? {}))
    added.set(Number(id), { ...token, id: Number(id) })
  const names = [map, config].flatMap(each => [
    ...(each.additional_special_tokens ?? []),
    ...(each.extra_special_tokens ?? []),
  ])
  const texts = new Set(names.map(({ content }) => content).filter(text => sentinelNumber(text) !== undefined))
  const says = config.extra_ids ?? (texts.size > 0 ? texts.size : undefined)
  const special = specialNames.flatMap(name => {
    const token = config[`${name}_token`] ?? map[`${name}_token`]
    return token ? [[name, token] as const] : []
  })
  return {
    added: [...added.values()].sort((a, b) => a.id - b.id),
    special: Object.fromEntries(special.map(([name, { content }]) => [name, content])),
    named: [...special.map(([, token]) => token), ...names],
    tokenizerClass: config.tokenizer_class ?? undefined,
    sentinels: says ?? (listed.success ? 0 : undefined),
    isModel: files.isModel || files.config !== undefined,
    addPrefixSpace: config.add_prefix_space ?? false,
  }
}

/**
 * The vocabulary of a spiece.model with the tokens that other files add to it. Without such tokens it is the model with
 * its sentinels: as many as the files say, 100 for a model of T5's kind where none says it, and none for a file of
 * pieces alone. With them, it is what transformers' T5Tokenizer makes of these files.
 */
export function withAddedTokens(model: SentencePieceModel, facts: TokenizerFacts): Vocabulary {
  const { pieces } = model
  const own = pieces.some(({ text }) => sentinelNumber(text.replace(SPACE_SYMBOL, '')) !== undefined)
  const extra = facts.added.filter(({ id, content }) => pieces[id]?.text.replace(SPACE_SYMBOL, '') !== content)
  const listed = extra.filter(({ content }) => sentinelNumber(content) !== undefined)
  const otherwise = facts.isModel || pieces.length === T5_PIECES ? T5_SENTINELS : 0
  const count = own ? 0 : listed.length > 0 ? listed.length : (facts.sentinels ?? otherwise)
  const inOrder = listed.every(({ id, content }) => id === pieces.length + count - 1 - sentinelNumber(content)!)
  if (extra.length === listed.length && inOrder) return new SentencePieceVocabulary(model, count)
  const specials = pieces
    .slice(0, 3)
    .map(({ text }, id) => facts.added.find(({ content }) => content === text) ?? { id, content: text })
  const appended = Array.from({ length: listed.length > 0 ? 0 : count }, (_, i) => ({
    id: pieces.length + i,
    content: sentinelText(count - 1 - i),
  }))
  const { charsmap, addDummyPrefix } = model.normalizer
  const scheme = addDummyPrefix ? 'always' : 'never'
  return fromTokenizerJson(
    {
      added_tokens: [...specials, ...appended, ...extra],
      normalizer: charsmap.length > 0 ? { type: 'Precompiled', precompiled_charsmap: toBase64(charsmap) } : null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'WhitespaceSplit' },
          { type: 'Metaspace', replacement: SPACE_SYMBOL, prepend_scheme: scheme, split: true },
        ],
      },
      post_processor: endsWithEos(pieces[1].text, 1),
      decoder: decoderOfPieces(model.byteFallback, scheme),
      model: {
        type: 'Unigram',
        unk_id: pieces.findIndex(({ type }) => type === 'unknown'),
        vocab: pieces.map(({ text, score }) => [text, score]),
        byte_fallback: model.byteFallback,
      },
    },
    { pad: pieces[0]?.text, eos: pieces[1]?.text },
  )
}

/** The number of pieces of T5's own vocabulary. */
const T5_PIECES = 32_000

/** The vocabulary of a tokenizer.json as the class opens it that the files beside it name. */
export const tokenizerWithFacts = (json: unknown, facts: TokenizerFacts): Vocabulary =>
  new JsonTokenizer(openedByClass(parseTokenizerJson(json), facts), facts.special)

/**
 * The vocabulary of a byte-level BPE model in the files vocab.json and merges.txt, as GPT-2's and CodeT5's. Where no
 * file names a class, it is that of CodeT5: RobertaTokenizer.
 */
export function fromVocabAndMerges(vocab: unknown, merges: string, facts: TokenizerFacts): Vocabulary {
  const pairs = merges.split(/\r?\n/u).flatMap((line, i) => {
    if (line === '' || (i === 0 && line.startsWith('#version'))) return []
    const pair = line.split(' ')
    if (pair.length !== 2 || pair.includes(''))
      throw new ConfigError(
        `merges.txt: line ${i + 1} is ${JSON.stringify(line.slice(0, MAX_SHOWN))}, and must be two tokens with a space between them`,
      )
    return [pair]
  })
  const ids = parse('vocab.json', tokenIds, vocab)
  const byteLevel = { type: 'ByteLevel', add_prefix_space: facts.addPrefixSpace, trim_offsets: true, use_regex: true }
  return tokenizerWithFacts(
    {
      added_tokens: [],
      pre_tokenizer: byteLevel,
      decoder: byteLevel,
      model: { type: 'BPE', unk_token: facts.special.unk ?? null, vocab: ids, merges: pairs },
    },
    { ...facts, tokenizerClass: facts.tokenizerClass ?? 'RobertaTokenizer' },
  )
}

function parse<T>(file: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (!result.success) throw new ConfigError(`${file}: ${firstFaults(result.error)}`)
  return result.data
}

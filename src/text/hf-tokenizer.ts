import { fromBase64, toBase64 } from './base64.js'
import { ByteVocabulary } from './bytes.js'
import { SPACE_SYMBOL } from './normalizer.js'
import { SentencePieceVocabulary } from './sentencepiece.js'
import { sentinelText } from './sentinels.js'
import { parseSentencePieceModel } from './spiece-model.js'
import { JsonTokenizer } from './tokenizer-json/json-tokenizer.js'
import { decoderOfPieces } from './tokenizer-json/tokenizer-class.js'
import type { Vocabulary } from './vocabulary.js'

const special = { eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' }

/**
 * The files with which transformers opens a vocabulary, by name: of T5's kind `spiece.model`, `tokenizer.json` and
 * `tokenizer_config.json`, of ByT5's the last. Undefined for vocabularies that it has no tokenizer for.
 */
export function hfTokenizerFiles(vocabulary: Vocabulary): Record<string, Uint8Array> | undefined {
  const text = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
  const config = (name: string): object => ({
    tokenizer_class: name,
    ...special,
    extra_ids: vocabulary.sentinelIds.length,
    clean_up_tokenization_spaces: false,
  })
  if (vocabulary instanceof ByteVocabulary)
    return { 'tokenizer_config.json': text({ ...config('ByT5Tokenizer'), ...addedOf(vocabulary) }) }
  if (vocabulary instanceof JsonTokenizer)
    // This class obeys the steps of the file, which those of T5 replace by their own.
    return {
      'tokenizer.json': text(vocabulary.toJSON().tokenizer),
      'tokenizer_config.json': text({ ...config('PreTrainedTokenizerFast'), ...tokensOf(vocabulary) }),
    }
  if (!(vocabulary instanceof SentencePieceVocabulary)) return undefined
  const bytes = fromBase64(vocabulary.toJSON().model, 'vocabulary of sentencepiece: its model')
  const tokenizer = tokenizerJson(bytes, vocabulary.sentinelIds)
  return (
    tokenizer && {
      'spiece.model': bytes,
      'tokenizer.json': text(tokenizer),
      'tokenizer_config.json': text(config('T5Tokenizer')),
    }
  )
}

/**
 * The tokens of ByT5's vocabulary as transformers 5 lists them. It numbers sentinels by `extra_ids` only where no other
 * tokens are added.
 */
function addedOf(vocabulary: ByteVocabulary): object {
  if (!vocabulary.toJSON().added) return {}
  const listed = vocabulary.addedTokens.map(({ id, ...token }) => [
    id,
    { lstrip: false, normalized: false, rstrip: false, single_word: false, special: false, ...token },
  ])
  return {
    extra_ids: 0,
    extra_special_tokens: vocabulary.sentinelIds.map((_, k) => sentinelText(k)),
    added_tokens_decoder: Object.fromEntries(listed),
  }
}

/** The special tokens by the names of tokenizer_config.json, where they are not T5's. */
function tokensOf(vocabulary: JsonTokenizer): object {
  return Object.fromEntries(
    Object.entries(vocabulary.toJSON().special ?? {}).map(([name, text]) => [`${name}_token`, text]),
  )
}

/**
 * The content of tokenizer.json for a SentencePiece model. Undefined if it treats spaces in another way than T5's, or
 * has user-defined pieces, which readers of the two files treat in different ways.
 */
function tokenizerJson(bytes: Uint8Array, sentinelIds: readonly number[]): object | undefined {
  const { pieces, normalizer, byteFallback } = parseSentencePieceModel(bytes)
  const { addDummyPrefix, removeExtraWhitespaces, charsmap } = normalizer
  const isUserDefined = pieces.some(({ type }, id) => type === 'userDefined' && !sentinelIds.includes(id))
  if (!addDummyPrefix || !removeExtraWhitespaces || isUserDefined) return undefined
  const sentinels = new Map(sentinelIds.map((id, k) => [id, sentinelText(k)]))
  const size = Math.max(pieces.length, ...sentinelIds.map(id => id + 1))
  const ids = Array.from({ length: size }, (_, id) => id)
  const isAdded = (id: number): boolean => sentinels.has(id) || ['control', 'unknown'].includes(pieces[id].type)
  const contentOf = (id: number): string => sentinels.get(id) ?? pieces[id].text
  const precompiled = { type: 'Precompiled', precompiled_charsmap: toBase64(charsmap) }
  const [a, b, end] = [
    { Sequence: { id: 'A', type_id: 0 } },
    { Sequence: { id: 'B', type_id: 0 } },
    { SpecialToken: { id: special.eos_token, type_id: 0 } },
  ]
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: ids.filter(isAdded).map(id => ({
      id,
      content: contentOf(id),
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(charsmap.length > 0 ? [precompiled] : []),
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: SPACE_SYMBOL },
      ],
    },
    pre_tokenizer: { type: 'Metaspace', replacement: SPACE_SYMBOL, prepend_scheme: 'first' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [a, end],
      pair: [a, end, b, end],
      special_tokens: { [special.eos_token]: { id: special.eos_token, ids: [1], tokens: [special.eos_token] } },
    },
    decoder: decoderOfPieces(byteFallback),
    model: {
      type: 'Unigram',
      unk_id: 2,
      vocab: ids.map(id => [contentOf(id), sentinels.has(id) ? 0 : pieces[id].score]),
      byte_fallback: byteFallback,
    },
  }
}

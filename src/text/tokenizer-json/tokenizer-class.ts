import { SPACE_SYMBOL } from '../normalizer.js'
import type { AddedToken } from './added-tokens.js'
import type { SpecialTokens, TokenizerJson } from './schema.js'
import type { Step } from './steps.js'

/** What the files beside a vocabulary say of its class and tokens. */
export interface ClassFacts {
  /** The class of transformers that opens the vocabulary; undefined where no file says it. */
  readonly tokenizerClass: string | undefined
  /** The folder is that of a model, not of a vocabulary alone. */
  readonly isModel: boolean
  readonly special: SpecialTokens
  /** The special tokens of `special` and further ones, with their flags. */
  readonly named: readonly Omit<AddedToken, 'id'>[]
  /** Added tokens of all files, by id. */
  readonly added: readonly AddedToken[]
}

/** Special tokens that a class of transformers has where no file names others. */
const defaults = {
  T5: ['<pad>', '</s>', '<unk>'],
  Roberta: ['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
}

/** The tokenizer of T5, mT5 and Switch, and that of CodeT5, in `tokenizer_class`. */
const classes = { T5: /^M?T5Tokenizer(Fast)?$/, Roberta: /^RobertaTokenizer(Fast)?$/ }

/**
 * A tokenizer.json as the class of transformers 5 opens it that the facts name: T5's puts EOS after a text, whatever
 * the file says, and Roberta's `<s>` before it as well. Without a class, a model's Unigram file is T5's if it says
 * nothing itself. Special and added tokens that the facts name are cut out of texts.
 */
export function openedByClass(json: TokenizerJson, facts: ClassFacts): TokenizerJson {
  const { model, post_processor: own } = json
  const { special, tokenizerClass, isModel } = facts
  const ids = new Map(
    Array.isArray(model.vocab) ? model.vocab.map(([text], id) => [text, id]) : Object.entries(model.vocab),
  )
  const listed = json.added_tokens ?? []
  for (const { id, content } of listed) ids.set(content, id)
  const isT5s =
    model.type === 'Unigram' && (tokenizerClass === undefined ? isModel && !own : classes.T5.test(tokenizerClass))
  const isRobertas = model.type === 'BPE' && tokenizerClass !== undefined && classes.Roberta.test(tokenizerClass)
  const eos = special.eos ?? '</s>'
  const [cls, sep] = [special.cls ?? '<s>', special.sep ?? '</s>']
  const [eosId, clsId, sepId] = [eos, cls, sep].map(text => ids.get(text))
  const ofClass =
    isT5s && eosId !== undefined
      ? endsWithEos(eos, eosId)
      : isRobertas && clsId !== undefined && sepId !== undefined
        ? { type: 'RobertaProcessing', cls: [cls, clsId], sep: [sep, sepId] }
        : own
  const known = new Set(listed.map(({ content }) => content))
  const added = facts.added.filter(({ id, content }) => id >= ids.size || ids.get(content) === id)
  const usual = (isT5s ? defaults.T5 : isRobertas ? defaults.Roberta : []).map(content => ({ content }))
  const named = [...facts.named, ...usual].flatMap(token => {
    const id = ids.get(token.content)
    return id === undefined ? [] : [{ ...token, id }]
  })
  const more = [...added, ...named].filter(({ content }) => !known.has(content) && known.add(content))
  return {
    ...json,
    added_tokens: [...listed, ...more],
    post_processor: ofClass,
    decoder: json.decoder ?? (isT5s ? decoderOfPieces(model.byte_fallback === true) : null),
  }
}

/** The post-processor that puts EOS after a text, as T5Tokenizer's. */
export const endsWithEos = (eos: string, id: number): Step => ({
  type: 'TemplateProcessing',
  single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: eos, type_id: 0 } }],
  pair: [
    { Sequence: { id: 'A', type_id: 0 } },
    { SpecialToken: { id: eos, type_id: 0 } },
    { Sequence: { id: 'B', type_id: 0 } },
    { SpecialToken: { id: eos, type_id: 0 } },
  ],
  special_tokens: { [eos]: { id: eos, ids: [id], tokens: [eos] } },
})

/** The decoder of a SentencePiece model: U+2581 becomes a space, and bytes a text. */
export function decoderOfPieces(byteFallback: boolean, scheme: 'always' | 'never' = 'always'): Step {
  const metaspace = { type: 'Metaspace', replacement: SPACE_SYMBOL, prepend_scheme: scheme, split: true }
  return byteFallback ? { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] } : metaspace
}

import { ConfigError } from '../../base/errors.js'
import { SPACE_SYMBOL } from '../normalizer.js'
import { sentinelNumber } from '../sentinels.js'
import { UNKNOWN_SURFACE } from '../spiece-model.js'
import { decodeAll, textStream, wellFormed } from '../stream.js'
import { UNKNOWN_TEXT } from '../vocabulary.js'
import type { TextStream, Vocabulary } from '../vocabulary.js'
import { AddedTokenCutter } from './added-tokens.js'
import type { AddedToken, Cut } from './added-tokens.js'
import { bytesReadBy, decoderOf } from './decoders.js'
import type { TokenDecoder } from './decoders.js'
import { tableModel } from './models.js'
import { normalizerOf, startOfText } from './normalizers.js'
import type { Normalize } from './normalizers.js'
import { aroundOf } from './post-processors.js'
import type { Around } from './post-processors.js'
import { preTokenizerOf } from './pre-tokenizers.js'
import type { PreTokenize } from './pre-tokenizers.js'
import { sentinelsIn, skippedIds, specialId } from './schema.js'
import type { SpecialTokens, TokenizerJson } from './schema.js'
import { flatSteps } from './steps.js'
import type { Step } from './steps.js'
import type { Model } from './table-models.js'
import { unigramModel } from './unigram-model.js'

/**
 * The vocabulary of a tokenizer.json. It gives the ids and texts of Hugging Face's tokenizers library, with these
 * differences in decoded texts: special tokens that have a role are left out, an unknown token is U+2047, and a
 * sentinel of a Unigram model has a space before it, so that it is a word of its own.
 */
export class JsonTokenizer implements Vocabulary {
  readonly padId: number
  readonly eosId: number
  readonly unkId: number
  readonly size: number
  readonly sentinelIds: readonly number[]
  private readonly raw: AddedTokenCutter
  private readonly normalized: AddedTokenCutter
  private readonly normalize: Normalize
  private readonly preTokenize: PreTokenize
  private readonly model: Model
  /** The tokens that a decoder is given, by id. */
  private readonly tokens: ReadonlyMap<number, string>
  private readonly newDecoder: () => TokenDecoder
  private readonly bytesOfToken: (token: string) => Uint8Array | undefined
  private readonly around: Around
  /** Special tokens that a decoded text does not show. */
  private readonly skipped: ReadonlySet<number>
  private readonly unknownToken: string

  constructor(
    private readonly json: TokenizerJson,
    private readonly special: SpecialTokens = {},
  ) {
    const { model, decoder } = json
    const vocab: [string, number][] =
      model.type === 'Unigram' ? model.vocab.map(([text], id) => [text, id]) : Object.entries(model.vocab)
    const own = new Map(vocab)
    const tokens = new Map(vocab.map(([text, id]) => [id, text]))
    // As in the library: a token that is in the model's vocabulary too has the id that it has there.
    const added = (json.added_tokens ?? []).map(token => ({ ...token, id: own.get(token.content) ?? token.id }))
    for (const token of added) checkAdded(token, tokens)
    checkNumbers(added, own)
    const ids = new Map([...own, ...added.map(({ id, content }) => [content, id] as const)])
    this.padId = specialId('pad', special, ids)
    this.eosId = specialId('eos', special, ids)
    this.size = [...ids.values()].reduce((most, id) => Math.max(most, id + 1), 0)
    this.around = aroundOf(json.post_processor)
    this.skipped = skippedIds(special, this.around, ids)
    this.sentinelIds = sentinelsIn(added)
    this.normalize = normalizerOf(json.normalizer)
    this.preTokenize = preTokenizerOf(json.pre_tokenizer)
    if (model.type === 'Unigram') {
      this.unkId = model.unk_id ?? specialId('unk', special, ids)
      this.model = unigramModel(model, own, this.unkId)
    } else {
      const unk = special.unk ?? model.unk_token
      // Byte-level models have tokens for everything, and may lack an unknown token.
      this.unkId = typeof unk === 'string' ? specialId('unk', { unk }, ids) : (ids.get('<unk>') ?? this.padId)
      this.model = tableModel(model, own)
    }
    const inNormalized = added
      .filter(({ normalized }) => normalized === true)
      .map(token => ({ ...token, content: this.normalize(startOfText(token.content)).text }))
    const emptied = inNormalized.find(({ content }) => content === '')
    if (emptied)
      throw new ConfigError(
        `the normalizer of the tokenizer.json leaves nothing of the added token with the id ${emptied.id}: set its "normalized" to false`,
      )
    this.raw = new AddedTokenCutter(added.filter(({ normalized }) => normalized !== true))
    this.normalized = new AddedTokenCutter(inNormalized)
    for (const { id, content } of [...added, ...inNormalized]) tokens.set(id, content)
    const marksSpaces = model.type === 'Unigram' && !!decoder && undoesMetaspace(decoder)
    if (marksSpaces) for (const id of this.sentinelIds) tokens.set(id, SPACE_SYMBOL + tokens.get(id)!)
    this.unknownToken = marksSpaces ? UNKNOWN_SURFACE : UNKNOWN_TEXT
    tokens.delete(this.unkId)
    this.tokens = tokens
    this.newDecoder = decoderOf(decoder)
    this.bytesOfToken = bytesReadBy(decoder)
  }

  encode(text: string): number[] {
    const ids: number[] = []
    for (const cut of this.raw.cut(wellFormed(text))) {
      if (typeof cut === 'number') ids.push(cut)
      else this.pushCut(cut, ids)
    }
    return ids
  }

  withSpecialTokens(ids: readonly number[]): number[] {
    return [...this.around.before, ...ids, ...this.around.after]
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    const decoder = this.newDecoder()
    return textStream(
      id => (this.skipped.has(id) ? '' : decoder.push(this.tokens.get(id) ?? this.unknownToken)),
      () => decoder.end(),
      this,
    )
  }

  bytesOf(id: number): Uint8Array | undefined {
    const token = this.tokens.get(id)
    return token === undefined || this.skipped.has(id) ? undefined : this.bytesOfToken(token)
  }

  toJSON(): { kind: 'tokenizerJson'; tokenizer: Record<string, unknown>; special?: SpecialTokens } {
    const special = Object.keys(this.special).length > 0 ? { special: this.special } : {}
    return { kind: 'tokenizerJson', tokenizer: this.json, ...special }
  }

  /** Appends the ids of a text without tokens that are cut out before normalization. */
  private pushCut({ text, from }: Exclude<Cut, number>, ids: number[]): void {
    const part = this.normalize(from === 0 ? startOfText(text) : { text, head: 0 })
    for (const cut of this.normalized.cut(part.text)) {
      if (typeof cut === 'number') ids.push(cut)
      else {
        const head = Math.max(0, part.head - cut.from)
        for (const word of this.preTokenize([{ text: cut.text, head: Math.min(head, cut.text.length) }]))
          this.model(word.text, ids)
      }
    }
  }
}

/** Whether a decoder writes spaces for U+2581. */
const undoesMetaspace = (decoder: Step): boolean =>
  flatSteps(decoder, 'decoders', 'decoder').some(({ type }) => type === 'Metaspace' || type === 'Replace')

function checkAdded({ id, content }: AddedToken, tokens: ReadonlyMap<number, string>): void {
  const token = tokens.get(id) ?? content
  if (token === content || (token === SPACE_SYMBOL + content && sentinelNumber(content) !== undefined)) return
  throw new ConfigError(
    `the added token ${JSON.stringify(content)} of the tokenizer.json has the id ${id}, which is that of the token ${JSON.stringify(token)}: give it an id of its own`,
  )
}

/** The library numbers tokens that the model lacks from the size of its vocabulary on, whatever the file says. */
function checkNumbers(added: readonly AddedToken[], own: ReadonlyMap<string, number>): void {
  let next = own.size
  for (const { id, content } of new Map(added.map(token => [token.content, token])).values()) {
    if (own.has(content)) continue
    if (id !== next)
      throw new ConfigError(
        `the added token ${JSON.stringify(content)} of the tokenizer.json has the id ${id}, but the tokenizers library gives it ${next}: number added tokens from ${own.size} on, in their order`,
      )
    next++
  }
}

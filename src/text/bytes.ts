import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { MAX_SENTINELS, sentinelText } from './sentinels.js'
import { decodeAll, textStream, Utf8Stream, ValidUtf8Stream } from './stream.js'
import { AddedTokenCutter, addedTokenSchema } from './tokenizer-json/added-tokens.js'
import type { AddedToken } from './tokenizer-json/added-tokens.js'
import { EOS_ID, FIRST_SYMBOL_ID, PAD_ID, UNK_ID, UNKNOWN_TEXT } from './vocabulary.js'
import type { TextStream, Vocabulary, VocabularyReference } from './vocabulary.js'

const BYTES = 256
/** The number of sentinels: with them the vocabulary has 384 ids, the size in ByT5's configuration. */
const BYT5_SENTINELS = 125

const sentinels = z.int().min(0).max(MAX_SENTINELS)
export const bytesSpec = z.strictObject({
  kind: z.literal('bytes'),
  sentinels,
  /** Further tokens, and special tokens with flags of their own. */
  added: z.array(addedTokenSchema).max(MAX_SENTINELS).optional(),
  /** Left out for Hugging Face's rules. */
  reference: z.literal('seqio').optional(),
})

/**
 * ByT5's vocabulary (Xue et al. 2021, https://arxiv.org/abs/2105.13626): each UTF-8 byte b of a text has the id 3 + b.
 * The sentinels follow, `<extra_id_k>` = 259 + k, as in Hugging Face's ByT5Tokenizer. (Google's own pretraining marked
 * blanks with the ids 258, 257 ..., bytes that UTF-8 never or hardly ever uses; encode such targets by id.)
 *
 * Decoding an encoded text gives the same text if it is well-formed. A lone surrogate, which UTF-8 cannot represent,
 * becomes U+FFFD, and so do decoded bytes that are not UTF-8. Texts of special and added tokens are these tokens.
 *
 * By SeqIO's rules (`reference: 'seqio'`) sentinels are ids without a text, numbered downwards from the last id.
 * Decoding drops ids that are not bytes, and bytes that are not UTF-8.
 */
export class ByteVocabulary implements Vocabulary {
  readonly padId = PAD_ID
  readonly eosId = EOS_ID
  readonly unkId = UNK_ID
  readonly size: number
  readonly sentinelIds: readonly number[]
  private readonly cutter: AddedTokenCutter
  private readonly added: ReadonlyMap<number, string>
  /** The special tokens, the sentinels and further tokens. */
  readonly addedTokens: readonly AddedToken[]

  constructor(
    sentinelCount: number = BYT5_SENTINELS,
    private readonly options: {
      readonly reference?: VocabularyReference
      readonly added?: readonly AddedToken[]
    } = {},
  ) {
    const result = sentinels.safeParse(sentinelCount)
    if (!result.success)
      throw new ConfigError(
        `vocabulary of bytes: the number of sentinels is ${sentinelCount}, it must be an integer from 0 to ${MAX_SENTINELS}`,
      )
    const first = FIRST_SYMBOL_ID + BYTES
    const { added = [] } = options
    const end = first + sentinelCount
    const misplaced = added.find(({ id }) => id >= FIRST_SYMBOL_ID && id < end)
    if (misplaced)
      throw new ConfigError(
        `vocabulary of bytes: the added token ${JSON.stringify(misplaced.content)} has the id ${misplaced.id}, which is that of a byte or sentinel`,
      )
    this.size = Math.max(end, ...added.map(({ id }) => id + 1))
    this.sentinelIds = Array.from({ length: sentinelCount }, (_, k) => (this.seqio ? end - 1 - k : first + k))
    const sentinelTokens = this.sentinelIds.map((id, k) => ({ id, content: sentinelText(k) }))
    this.added = new Map([...sentinelTokens, ...added].map(({ id, content }) => [id, content]))
    const own = new Set(added.map(({ id }) => id))
    const special = BYT5_SPECIAL.filter(({ id }) => !own.has(id))
    this.addedTokens = [...special, ...sentinelTokens, ...added]
    this.cutter = new AddedTokenCutter(this.seqio ? [] : this.addedTokens)
  }

  encode(text: string): number[] {
    const utf8 = new TextEncoder()
    return this.cutter
      .cut(text)
      .flatMap(cut =>
        typeof cut === 'number' ? [cut] : Array.from(utf8.encode(cut.text), byte => FIRST_SYMBOL_ID + byte),
      )
  }

  /** As ByT5Tokenizer, which does not repeat an EOS that ends the text. */
  withSpecialTokens(ids: readonly number[]): number[] {
    return ids.at(-1) === EOS_ID && !this.seqio ? [...ids] : [...ids, EOS_ID]
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    if (this.seqio) {
      const utf8 = new ValidUtf8Stream()
      return textStream(id => (isByte(id - FIRST_SYMBOL_ID) ? utf8.push(id - FIRST_SYMBOL_ID) : ''))
    }
    const utf8 = new Utf8Stream()
    return textStream(
      id => {
        const symbol = id - FIRST_SYMBOL_ID
        if (isByte(symbol)) return utf8.push(symbol)
        return utf8.flush() + (id === UNK_ID ? UNKNOWN_TEXT : (this.added.get(id) ?? UNKNOWN_TEXT))
      },
      () => utf8.flush(),
    )
  }

  bytesOf(id: number): Uint8Array | undefined {
    const symbol = id - FIRST_SYMBOL_ID
    return isByte(symbol) ? Uint8Array.of(symbol) : undefined
  }

  toJSON(): z.infer<typeof bytesSpec> {
    const { added } = this.options
    return {
      kind: 'bytes',
      sentinels: this.sentinelIds.length,
      ...(added && added.length > 0 && { added: [...added] }),
      ...(this.seqio && { reference: 'seqio' }),
    }
  }

  private get seqio(): boolean {
    return this.options.reference === 'seqio'
  }
}

/** The special tokens of ByT5Tokenizer, which take the white space around them with them. */
const BYT5_SPECIAL: readonly AddedToken[] = ['<pad>', '</s>', '<unk>'].map((content, id) => ({
  id,
  content,
  lstrip: true,
  rstrip: true,
}))

const isByte = (symbol: number): boolean => symbol >= 0 && symbol < BYTES

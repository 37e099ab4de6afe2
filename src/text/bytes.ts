import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { cutAtSentinels, MAX_SENTINELS, sentinelText } from './sentinels.js'
import { decodeAll, textStream, Utf8Stream, ValidUtf8Stream } from './stream.js'
import { EOS_ID, FIRST_SYMBOL_ID, PAD_ID, UNK_ID, UNKNOWN_TEXT } from './vocabulary.js'
import type { TextStream, Vocabulary, VocabularyReference } from './vocabulary.js'

const BYTES = 256
/** The number of sentinels: with them the vocabulary has 384 ids, the size in ByT5's configuration. */
const BYT5_SENTINELS = 125

const sentinels = z.int().min(0).max(MAX_SENTINELS)
export const bytesSpec = z.strictObject({
  kind: z.literal('bytes'),
  sentinels,
  /** Left out for Hugging Face's rules. */
  reference: z.literal('seqio').optional(),
})

/**
 * ByT5's vocabulary (Xue et al. 2021, https://arxiv.org/abs/2105.13626): each UTF-8 byte b of a text has the id 3 + b.
 * The sentinels follow, `<extra_id_k>` = 259 + k, as in Hugging Face's ByT5Tokenizer. (Google's own pretraining marked
 * blanks with the ids 258, 257 ..., bytes that UTF-8 never or hardly ever uses; encode such targets by id.)
 *
 * Decoding an encoded text gives the same text if it is well-formed. A lone surrogate, which UTF-8 cannot represent,
 * becomes U+FFFD, and so do decoded bytes that are not UTF-8.
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

  constructor(
    sentinelCount: number = BYT5_SENTINELS,
    private readonly options: { readonly reference?: VocabularyReference } = {},
  ) {
    const result = sentinels.safeParse(sentinelCount)
    if (!result.success)
      throw new ConfigError(
        `vocabulary of bytes: the number of sentinels is ${sentinelCount}, it must be an integer from 0 to ${MAX_SENTINELS}`,
      )
    const first = FIRST_SYMBOL_ID + BYTES
    this.size = first + sentinelCount
    this.sentinelIds = Array.from({ length: sentinelCount }, (_, k) => (this.seqio ? this.size - 1 - k : first + k))
  }

  encode(text: string): number[] {
    const utf8 = new TextEncoder()
    return cutAtSentinels(text, this.seqio ? 0 : this.sentinelIds.length).flatMap(part =>
      typeof part === 'number'
        ? [this.sentinelIds[part]]
        : Array.from(utf8.encode(part), byte => FIRST_SYMBOL_ID + byte),
    )
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
        return utf8.flush() + (symbol >= BYTES && id < this.size ? sentinelText(symbol - BYTES) : UNKNOWN_TEXT)
      },
      () => utf8.flush(),
    )
  }

  toJSON(): z.infer<typeof bytesSpec> {
    return { kind: 'bytes', sentinels: this.sentinelIds.length, ...(this.seqio && { reference: 'seqio' }) }
  }

  private get seqio(): boolean {
    return this.options.reference === 'seqio'
  }
}

const isByte = (symbol: number): boolean => symbol >= 0 && symbol < BYTES

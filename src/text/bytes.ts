import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { cutAtSentinels, MAX_SENTINELS, sentinelText } from './sentinels.js'
import { decodeAll, textStream, Utf8Stream } from './stream.js'
import { EOS_ID, FIRST_SYMBOL_ID, PAD_ID, UNK_ID, UNKNOWN_TEXT } from './vocabulary.js'
import type { TextStream, Vocabulary } from './vocabulary.js'

const BYTES = 256
/** What fills the ids up to 384, the size that ByT5's configuration names. */
const BYT5_SENTINELS = 125

const sentinels = z.int().min(0).max(MAX_SENTINELS)
export const bytesSpec = z.strictObject({ kind: z.literal('bytes'), sentinels })

/**
 * ByT5's vocabulary (Xue et al. 2021, https://arxiv.org/abs/2105.13626): a text's UTF-8 bytes b as ids 3 + b. After them come sentinels,
 * `<extra_id_k>` = 259 + k, numbered as Hugging Face's ByT5Tokenizer numbers them. (Google's own pretraining marked blanks with the ids 258, 257 ...,
 * bytes that UTF-8 never uses or hardly ever; encode such targets by id.)
 *
 * Every well-formed text comes back as it was. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD, and so do bytes
 * that are not UTF-8 when they are decoded.
 */
export class ByteVocabulary implements Vocabulary {
  readonly padId = PAD_ID
  readonly eosId = EOS_ID
  readonly unkId = UNK_ID
  readonly size: number
  readonly sentinelIds: readonly number[]

  constructor(sentinelCount: number = BYT5_SENTINELS) {
    const result = sentinels.safeParse(sentinelCount)
    if (!result.success)
      throw new ConfigError(
        `vocabulary of bytes: the number of sentinels is ${sentinelCount}, it must be an integer from 0 to ${MAX_SENTINELS}`,
      )
    const first = FIRST_SYMBOL_ID + BYTES
    this.sentinelIds = Array.from({ length: sentinelCount }, (_, k) => first + k)
    this.size = first + sentinelCount
  }

  encode(text: string): number[] {
    const utf8 = new TextEncoder()
    return cutAtSentinels(text, this.sentinelIds.length).flatMap(part =>
      typeof part === 'number'
        ? [this.sentinelIds[part]]
        : Array.from(utf8.encode(part), byte => FIRST_SYMBOL_ID + byte),
    )
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    const utf8 = new Utf8Stream()
    return textStream(
      id => {
        const symbol = id - FIRST_SYMBOL_ID
        if (symbol >= 0 && symbol < BYTES) return utf8.push(symbol)
        return utf8.flush() + (symbol >= BYTES && id < this.size ? sentinelText(symbol - BYTES) : UNKNOWN_TEXT)
      },
      () => utf8.flush(),
    )
  }

  toJSON(): z.infer<typeof bytesSpec> {
    return { kind: 'bytes', sentinels: this.sentinelIds.length }
  }
}

import { EOS_ID, PAD_ID } from './vocabulary.js'
import type { TextStream } from './vocabulary.js'

/** The ids that a stream skips and ends at. */
export interface SpecialIdsOfText {
  readonly padId: number
  readonly eosId: number
}

/**
 * Makes a stream. `next` returns the text of an id that is neither padding nor EOS; `rest` returns the text of an
 * incomplete last character.
 */
export function textStream(
  next: (id: number) => string,
  rest: () => string = () => '',
  { padId, eosId }: SpecialIdsOfText = { padId: PAD_ID, eosId: EOS_ID },
): TextStream {
  let ended = false
  const end = (): string => {
    if (ended) return ''
    ended = true
    return rest()
  }
  return {
    push: id => {
      if (id === eosId) return end()
      return ended || id === padId ? '' : next(id)
    },
    end,
  }
}

/** The text with U+FFFD in place of each lone surrogate, which UTF-8 cannot represent. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd')

/** Decodes all ids at once. */
export function decodeAll(stream: TextStream, ids: Iterable<number>): string {
  let text = ''
  for (const id of ids) text += stream.push(id)
  return text + stream.end()
}

/** Decodes UTF-8 byte by byte. Bytes that are not UTF-8 become U+FFFD, as in the WHATWG decoder. */
export class Utf8Stream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  private pending = false

  /** The characters that this byte completes. */
  push(byte: number): string {
    const text = this.decoder.decode(Uint8Array.of(byte), { stream: true })
    this.pending = byte >= 0x80
    return text
  }

  /** The text of an incomplete character. The next byte begins a new character. */
  flush(): string {
    if (!this.pending) return ''
    this.pending = false
    return this.decoder.decode()
  }
}

/** Decodes UTF-8 byte by byte and drops bytes that are not UTF-8, as Python's `decode(errors='ignore')` does. */
export class ValidUtf8Stream {
  /** The bytes of an incomplete character, and how many bytes it has in all. */
  private pending: number[] = []
  private length = 0

  /** The character that this byte completes. */
  push(byte: number): string {
    if (this.pending.length > 0 && this.continues(byte)) {
      this.pending.push(byte)
      if (this.pending.length < this.length) return ''
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(this.pending))
      this.pending = []
      return text
    }
    this.pending = []
    if (byte < 0x80) return String.fromCharCode(byte)
    this.length = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
    if (this.length > 0) this.pending = [byte]
    return ''
  }

  /**
   * Whether the byte may follow the pending ones: UTF-8 has no overlong forms, no surrogates, nothing past U+10FFFF.
   */
  private continues(byte: number): boolean {
    const second = this.pending.length === 1
    const [first] = this.pending
    const least = second && first === 0xe0 ? 0xa0 : second && first === 0xf0 ? 0x90 : 0x80
    const greatest = second && first === 0xed ? 0x9f : second && first === 0xf4 ? 0x8f : 0xbf
    return byte >= least && byte <= greatest
  }
}

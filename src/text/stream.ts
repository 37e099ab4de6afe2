import { EOS_ID, PAD_ID } from './vocabulary.js'
import type { TextStream } from './vocabulary.js'

/**
 * Makes a stream. `next` returns the text of an id that is neither padding nor EOS; `rest` returns the text of an
 * incomplete last character.
 */
export function textStream(next: (id: number) => string, rest: () => string = () => ''): TextStream {
  let ended = false
  const end = (): string => {
    if (ended) return ''
    ended = true
    return rest()
  }
  return {
    push: id => {
      if (id === EOS_ID) return end()
      return ended || id === PAD_ID ? '' : next(id)
    },
    end,
  }
}

/** Decodes all ids at once. */
export function decodeAll(stream: TextStream, ids: Iterable<number>): string {
  let text = ''
  for (const id of ids) {
    if (id === EOS_ID) break
    text += stream.push(id)
  }
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

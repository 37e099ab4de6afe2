import { EOS_ID, PAD_ID } from './vocabulary.js'
import type { TextStream } from './vocabulary.js'

/**
 * The stream of a vocabulary: `next` gives the text of an id that is neither padding nor EOS, `rest` what an incomplete
 * last character reads as.
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

/** The whole text of some ids. */
export function decodeAll(stream: TextStream, ids: Iterable<number>): string {
  let text = ''
  for (const id of ids) {
    if (id === EOS_ID) break
    text += stream.push(id)
  }
  return text + stream.end()
}

/** UTF-8 that comes byte by byte. What is not UTF-8 reads as U+FFFD, as the WHATWG decoder has it. */
export class Utf8Stream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  private pending = false

  /** The characters that this byte completes. */
  push(byte: number): string {
    const text = this.decoder.decode(Uint8Array.of(byte), { stream: true })
    this.pending = byte >= 0x80
    return text
  }

  /** What an incomplete character reads as; the next byte starts afresh. */
  flush(): string {
    if (!this.pending) return ''
    this.pending = false
    return this.decoder.decode()
  }
}

import type { TokenBytes } from '../token-bytes.js'
import type { Range } from './utf8.js'

/** Which bytes and characters the tokens of a vocabulary can write. */
export class Alphabet {
  /** The bytes of all tokens. */
  readonly bytes: ReadonlySet<number>
  /** The bytes that are a whole token, wherever they come in an answer. */
  readonly tokens: ReadonlySet<number>
  /** The code points that are a part of some token. */
  private readonly codePoints = new Set<number>()

  constructor({ first, later }: TokenBytes) {
    const bytes = new Set<number>()
    const tokens = new Set<number>()
    for (const own of [...first, ...later]) {
      if (own === null) continue
      for (const byte of own) bytes.add(byte)
      for (const character of new TextDecoder().decode(own)) this.codePoints.add(character.codePointAt(0)!)
    }
    for (const own of later) if (own?.length === 1) tokens.add(own[0])
    this.bytes = bytes
    this.tokens = tokens
  }

  /** Whether a character of some ranges can be written, at least in some texts. */
  hasAny(ranges: readonly Range[]): boolean {
    for (const codePoint of this.codePoints)
      if (ranges.some(([low, high]) => low <= codePoint && codePoint <= high)) return true
    return ranges.some(([low]) =>
      new TextEncoder().encode(String.fromCodePoint(low)).every(byte => this.tokens.has(byte)),
    )
  }
}

import { Charsmap } from './charsmap.js'

/** The character that represents a space inside pieces (U+2581). */
export const SPACE_SYMBOL = '\u2581'

export interface NormalizerSpec {
  /** SentencePiece's precompiled character map (`Charsmap`); empty for none. */
  readonly charsmap: Uint8Array
  /** Puts a space before the text, so that its first word becomes the same piece as elsewhere in a text. */
  readonly addDummyPrefix: boolean
  /** Removes spaces at both ends, and replaces a run of spaces by one. */
  readonly removeExtraWhitespaces: boolean
}

const SPACE = 0x20
const SPACE_SYMBOL_BYTES = new TextEncoder().encode(SPACE_SYMBOL)

/**
 * SentencePiece's normalization before a text is cut into pieces: the character map, then spaces, each written as
 * U+2581.
 */
export class Normalizer {
  private readonly charsmap: Charsmap | undefined
  /** Of printable ASCII texts, only spaces change. */
  private readonly keepsAscii: boolean
  /** Symbols that the character map does not change, by their first byte, longer ones first. */
  private readonly userDefined = new Map<number, Uint8Array[]>()

  constructor(
    private readonly spec: NormalizerSpec,
    userDefined: readonly string[],
  ) {
    this.charsmap = spec.charsmap.length === 0 ? undefined : new Charsmap(spec.charsmap)
    this.keepsAscii = userDefined.length === 0 && this.charsmap?.changesAscii() !== true
    const symbols = userDefined.map(symbol => new TextEncoder().encode(symbol)).sort((a, b) => b.length - a.length)
    for (const symbol of symbols) {
      const sameStart = this.userDefined.get(symbol[0])
      if (sameStart === undefined) this.userDefined.set(symbol[0], [symbol])
      else sameStart.push(symbol)
    }
  }

  /** Normalizes a text. A lone surrogate counts as U+FFFD. */
  normalize(text: string): string {
    if (text === '') return ''
    const { addDummyPrefix, removeExtraWhitespaces } = this.spec
    if (this.keepsAscii && removeExtraWhitespaces && addDummyPrefix && /^[ -~]*$/u.test(text)) {
      const trimmed = text.trim()
      return trimmed === '' ? '' : SPACE_SYMBOL + trimmed.replace(/ +/gu, SPACE_SYMBOL)
    }
    const input = new TextEncoder().encode(text)
    const output: number[] = []
    if (addDummyPrefix) output.push(...SPACE_SYMBOL_BYTES)
    let afterSpace = removeExtraWhitespaces
    for (let at = 0; at < input.length;) {
      const { chunk, taken } = this.next(input, at)
      at += taken
      let from = 0
      while (afterSpace && chunk[from] === SPACE) from++
      if (from === chunk.length) continue
      for (let i = from; i < chunk.length; i++) {
        if (chunk[i] === SPACE) output.push(...SPACE_SYMBOL_BYTES)
        else output.push(chunk[i])
      }
      afterSpace = removeExtraWhitespaces && chunk[chunk.length - 1] === SPACE
    }
    const normalized = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(output))
    return removeExtraWhitespaces ? withoutTrailingSpaces(normalized) : normalized
  }

  /**
   * The normalized bytes of the next symbol or character of the input, at byte offset `at`, and how many input bytes it
   * has.
   */
  private next(input: Uint8Array, at: number): { chunk: Uint8Array; taken: number } {
    const symbol = this.userDefined.get(input[at])?.find(bytes => bytes.every((byte, i) => input[at + i] === byte))
    if (symbol !== undefined) return { chunk: symbol, taken: symbol.length }
    const replacement = this.charsmap?.match(input, at)
    if (replacement !== undefined) return { chunk: replacement, taken: this.charsmap!.matched }
    const taken = characterLength(input[at])
    return { chunk: input.subarray(at, at + taken), taken }
  }
}

/** The length in bytes of the UTF-8 character that starts with this byte. The input is well-formed. */
const characterLength = (byte: number): number => (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4)

function withoutTrailingSpaces(text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === SPACE_SYMBOL) end--
  return text.slice(0, end)
}

import { SPACE_SYMBOL } from './normalizer.js'
import { textStream, Utf8Stream } from './stream.js'
import type { SpecialIdsOfText } from './stream.js'
import type { TextStream } from './vocabulary.js'

export interface PieceStreamOptions {
  /** The text of each piece, U+2581 for spaces; undefined for the unknown piece. */
  readonly surfaces: readonly (string | undefined)[]
  /** The byte of each piece that is one. */
  readonly byteOf: ReadonlyMap<number, number>
  /** Encoding adds a space before the text, or removes those at its start: decoding drops it. */
  readonly addDummyPrefix: boolean
  readonly removeExtraWhitespaces: boolean
  readonly unknownSurface: string
  readonly special?: SpecialIdsOfText
}

/** Decodes pieces of SentencePiece. */
export function pieceStream(options: PieceStreamOptions): TextStream {
  const { surfaces, byteOf, addDummyPrefix, removeExtraWhitespaces, unknownSurface, special } = options
  const utf8 = new Utf8Stream()
  let atStart = addDummyPrefix || removeExtraWhitespaces
  const pieceText = (id: number): string => {
    const surface = surfaces[id]
    if (surface === undefined) return unknownSurface
    const dropsSpace = atStart && surface.startsWith(SPACE_SYMBOL)
    if (dropsSpace) atStart = removeExtraWhitespaces
    return surface.slice(dropsSpace ? 1 : 0).replaceAll(SPACE_SYMBOL, ' ')
  }
  return textStream(
    id => {
      const byte = byteOf.get(id)
      let text = byte === undefined ? utf8.flush() : utf8.push(byte)
      atStart &&= text === ''
      if (byte === undefined) text += pieceText(id)
      atStart &&= text === ''
      return text
    },
    () => utf8.flush(),
    special,
  )
}

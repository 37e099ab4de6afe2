/** The name of a byte that is a token of its own: `<0xC3>`, as in SentencePiece. */
export const byteName = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`

/** The ids of a text's bytes, whose tokens are `<0x00>` to `<0xFF>`; undefined if one of them is no token. */
export function byteFallback(ids: ReadonlyMap<string, number>): (text: string) => number[] | undefined {
  const utf8 = new TextEncoder()
  const byteIds = Array.from({ length: 256 }, (_, byte) => ids.get(byteName(byte)))
  return text => {
    const bytes = Array.from(utf8.encode(text), byte => byteIds[byte])
    return bytes.includes(undefined) ? undefined : (bytes as number[])
  }
}

/** The ids of a text's bytes, whose tokens are `<0x00>` to `<0xFF>`; undefined if one of them is no token. */
export function byteFallback(ids: ReadonlyMap<string, number>): (text: string) => number[] | undefined {
  const utf8 = new TextEncoder()
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  )
  return text => {
    const bytes = Array.from(utf8.encode(text), byte => byteIds[byte])
    return bytes.includes(undefined) ? undefined : (bytes as number[])
  }
}

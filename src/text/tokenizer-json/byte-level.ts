import { WHITE_SPACE } from './unicode.js'

/** GPT-2's table: printable bytes of Latin-1 are written as their characters, other bytes as those from U+0100 on. */
const characterOfByte: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++))
})()

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte]),
)

const utf8 = new TextEncoder()

/** A text with each byte of its UTF-8 form as a character. */
export function byteLevel(text: string): string {
  let result = ''
  for (const byte of utf8.encode(text)) result += characterOfByte[byte]
  return result
}

/** The bytes of a token: those of its characters or, if one of them is no byte's, those of the text itself. */
export function bytesOfToken(token: string): Iterable<number> {
  const bytes = Array.from(token, character => byteOfCharacter.get(character))
  return bytes.includes(undefined) ? utf8.encode(token) : (bytes as number[])
}

/** GPT-2's words. */
export const gpt2Words = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${WHITE_SPACE}\\p{L}\\p{N}]+|[${WHITE_SPACE}]+(?![^${WHITE_SPACE}])|[${WHITE_SPACE}]+`,
  'gu',
)

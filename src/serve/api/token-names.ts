import type { ScoredToken } from '../../infer/answer-piece.js'

type Named = Pick<ScoredToken, 'text' | 'bytes'>

/**
 * The name of a token in a chat's log-probabilities: its text. What is no whole character in a token is written as
 * OpenAI's API does, one escape for each byte: `\xf0\x9f`.
 */
export function tokenName({ text, bytes }: Named): string {
  if (bytes === undefined) return text
  let name = ''
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at)
    name +=
      length > 0
        ? Buffer.from(bytes.slice(at, at + length)).toString()
        : `\\x${bytes[at].toString(16).padStart(2, '0')}`
    at += Math.max(1, length)
  }
  return name
}

/** The name of a token in a completion's log-probabilities: as `tokenName`, with `bytes:` before escapes. */
export const completionTokenName = (token: Named): string =>
  token.bytes === undefined ? token.text : `bytes:${tokenName(token)}`

/** The UTF-8 of a token. */
export const bytesOfToken = ({ text, bytes }: Named): number[] => [...(bytes ?? Buffer.from(text))]

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How many bytes the whole character at a place has; 0: there is none. */
function characterLength(bytes: readonly number[], at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      utf8.decode(Uint8Array.from(bytes.slice(at, at + length)))
      return length
    } catch {
      // More bytes may complete the character.
    }
  }
  return 0
}

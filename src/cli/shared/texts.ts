/** The lines of a stream, one by one as they arrive. Empty lines count: `infer` prints one line for each. */
export async function* linesOf(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n')
    rest = lines.pop()!
    for (const line of lines) yield line.replace(/\r$/, '')
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}

/**
 * Escapes tabs, line ends and other control characters as \t, \n, \u001b ... The text then stays one column of one
 * line, and cannot send control sequences to a terminal.
 */
export const escapeControls = (line: string): string =>
  line.replace(/[\p{Cc}\u2028\u2029]/gu, c => named.get(c) ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

const named: ReadonlyMap<string, string> = new Map([
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
])

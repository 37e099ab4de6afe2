import type { Vocabulary } from '../text/vocabulary.js'
import { StopTexts } from './stop-texts.js'

/**
 * Says whether the tokens of a row have a stop text after the first `skipped` tokens. Each token is decoded once, as
 * long as each call's tokens begin with those of the call before.
 */
export function stopRule(
  stops: readonly string[],
  vocabulary: Vocabulary,
  skipped: number,
): (tokens: readonly number[]) => boolean {
  const begin = (): { stream: ReturnType<Vocabulary['stream']>; texts: StopTexts; read: number[] } => ({
    stream: vocabulary.stream(),
    texts: new StopTexts(stops),
    read: [],
  })
  let row = begin()
  return tokens => {
    if (row.read.some((token, i) => tokens[i] !== token)) row = begin()
    const { stream, texts, read } = row
    while (read.length < tokens.length) {
      const text = stream.push(tokens[read.length])
      if (read.length >= skipped) texts.push(text)
      read.push(tokens[read.length])
    }
    return texts.isFound
  }
}

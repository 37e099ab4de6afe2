import type { Vocabulary } from '../text/vocabulary.js'

/**
 * The text that an answer has for each blank, by the blank's number: `<extra_id_0> a <extra_id_1> b` gives 0: `a`, 1:
 * `b`.
 */
export function readBlanks(tokens: readonly number[], vocabulary: Vocabulary): Map<number, string> {
  const blanks = new Map<number, number[]>()
  let current: number[] | undefined
  for (const token of tokens) {
    if (token === vocabulary.eosId) continue
    const k = vocabulary.sentinelIds.indexOf(token)
    if (k < 0) current?.push(token)
    // If a sentinel is repeated, the first text fills the blank and later ones are ignored.
    else if (blanks.has(k)) current = undefined
    else blanks.set(k, (current = []))
  }
  return new Map([...blanks].map(([k, ids]) => [k, vocabulary.decode(ids).trim()]))
}

/**
 * The input with its blanks `<extra_id_k>` filled in; null if it has none. A blank that the answer lacks stays as it
 * is.
 */
export function fillBlanks(input: string, tokens: readonly number[], vocabulary: Vocabulary): string | null {
  const pattern = /<extra_id_(\d{1,5})>/g
  if (vocabulary.sentinelIds.length === 0 || !pattern.test(input)) return null
  const blanks = readBlanks(tokens, vocabulary)
  return input.replaceAll(pattern, (sentinel, k: string) => blanks.get(Number(k)) ?? sentinel)
}

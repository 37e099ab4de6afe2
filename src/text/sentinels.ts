/** The most sentinels that are accepted. T5 has 100, ByT5 125, umT5 300. */
export const MAX_SENTINELS = 10_000

/** The text of the k-th sentinel, which marks the k-th blank of a text. */
export const sentinelText = (k: number): string => `<extra_id_${k}>`

/** The number of a sentinel from its text; undefined if the text is not a sentinel. */
export function sentinelNumber(text: string): number | undefined {
  const digits = /^<extra_id_(0|[1-9]\d{0,4})>$/u.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * Splits a text at its sentinels below `count`. Texts (perhaps empty) and numbers of sentinels alternate; the first and
 * the last are texts.
 */
export function cutAtSentinels(text: string, count: number): (string | number)[] {
  if (!text.includes('<extra_id_')) return [text]
  const parts: (string | number)[] = []
  let from = 0
  for (const match of text.matchAll(/<extra_id_\d{1,5}>/gu)) {
    const k = sentinelNumber(match[0])
    if (k === undefined || k >= count) continue
    parts.push(text.slice(from, match.index), k)
    from = match.index + match[0].length
  }
  parts.push(text.slice(from))
  return parts
}

/** The most sentinels that are accepted. T5 has 100, ByT5 125, umT5 300. */
export const MAX_SENTINELS = 10_000

/** The text of the k-th sentinel, which marks the k-th blank of a text. */
export const sentinelText = (k: number): string => `<extra_id_${k}>`

/** The number of a sentinel from its text; undefined if the text is not a sentinel. */
export function sentinelNumber(text: string): number | undefined {
  const digits = /^<extra_id_(0|[1-9]\d{0,4})>$/u.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

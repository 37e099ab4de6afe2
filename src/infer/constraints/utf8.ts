/** From the first to the last: code points, or bytes. */
export type Range = readonly [first: number, last: number]

export const MAX_CODE_POINT = 0x10ffff

/** The last code points with 1, 2, 3 and 4 bytes in UTF-8. */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, MAX_CODE_POINT]
const SURROGATES: Range = [0xd800, 0xdfff]

/**
 * The UTF-8 of the code points of a range, as sequences of ranges of bytes: each code point has one of the sequences.
 * Surrogates, which have no UTF-8, are left out.
 */
export function utf8Sequences(first: number, last: number): readonly (readonly Range[])[] {
  const sequences: (readonly Range[])[] = []
  for (const [low, high] of without([[first, last]], [SURROGATES]))
    LAST_OF_LENGTH.forEach((most, i) => {
      const least = i === 0 ? 0 : LAST_OF_LENGTH[i - 1] + 1
      if (low <= most && high >= least) split(Math.max(low, least), Math.min(high, most), sequences)
    })
  return sequences
}

/** Adds the sequences of code points of one length. */
function split(first: number, last: number, sequences: (readonly Range[])[]): void {
  const [low, high] = [encode(first), encode(last)]
  // At the last place i bytes, a range of bytes is whole only if all bytes after it go from 80 to BF.
  for (let bits = 6; bits < 6 * low.length; bits += 6) {
    const rest = 2 ** bits
    const isSamePrefix = Math.floor(first / rest) === Math.floor(last / rest)
    if (isSamePrefix) continue
    if (first % rest !== 0) {
      const end = (Math.floor(first / rest) + 1) * rest
      split(first, end - 1, sequences)
      return split(end, last, sequences)
    }
    if (last % rest !== rest - 1) {
      const begin = Math.floor(last / rest) * rest
      split(first, begin - 1, sequences)
      return split(begin, last, sequences)
    }
  }
  sequences.push(Array.from(low, (byte, i): Range => [byte, high[i]]))
}

const encode = (codePoint: number): Uint8Array => new TextEncoder().encode(String.fromCodePoint(codePoint))

/** Ranges in order, with overlapping and adjacent ones joined. */
export function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = result.at(-1)
    if (before && first <= before[1] + 1) result[result.length - 1] = [before[0], Math.max(before[1], last)]
    else result.push([first, last])
  }
  return result
}

/** The code points of some ranges that are not in others. */
export function without(ranges: readonly Range[], others: readonly Range[]): Range[] {
  let rest = joined(ranges)
  for (const [first, last] of others)
    rest = rest.flatMap(([low, high]): Range[] => {
      if (last < low || first > high) return [[low, high]]
      return [...(low < first ? [[low, first - 1] as const] : []), ...(high > last ? [[last + 1, high] as const] : [])]
    })
  return rest
}

/**
 * The table of lengths of longest common subsequences: entry [i, j] (row-major, of (a.length + 1) x (b.length + 1)) is
 * that of the first i elements of `a` and the first j of `b`.
 */
function lengths(a: readonly string[], b: readonly string[]): Uint32Array {
  const width = b.length + 1
  const table = new Uint32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j
      table[at] = a[i - 1] === b[j - 1] ? table[at - width - 1] + 1 : Math.max(table[at - width], table[at - 1])
    }
  }
  return table
}

/** The length of the longest common subsequence. */
export const longestCommonLength = (a: readonly string[], b: readonly string[]): number => lengths(a, b).at(-1)!

/**
 * The indices into `a` of one longest common subsequence. Of several, it is the one that `rouge_score` finds, which
 * matters for their union over sentences.
 */
export function longestCommonIndices(a: readonly string[], b: readonly string[]): number[] {
  const table = lengths(a, b)
  const width = b.length + 1
  const indices: number[] = []
  let [i, j] = [a.length, b.length]
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      indices.push(i - 1)
      i--
      j--
    } else if (table[i * width + j - 1] > table[(i - 1) * width + j]) j--
    else i--
  }
  return indices
}

/** The tokens that would repeat a sequence of `size` tokens of `of` if they followed after `tokens`. */
export function repeating(of: readonly number[], size: number, tokens: readonly number[]): number[] {
  const begin = tokens.length - (size - 1)
  const found: number[] = []
  if (begin < 0) return found
  for (let i = 0; i + size <= of.length; i++) {
    let same = true
    for (let j = 0; same && j < size - 1; j++) same = of[i + j] === tokens[begin + j]
    if (same) found.push(of[i + size - 1])
  }
  return found
}

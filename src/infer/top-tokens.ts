/** A token id with its log-probability. */
export interface ScoredId {
  readonly id: number
  readonly logProbability: number
}

/** The `count` most probable tokens by logits [vocab], best first; of a tie, the one with the lowest id comes first. */
export function topTokens(logits: Float32Array, count: number, normalizer: number): readonly ScoredId[] {
  const best: number[] = []
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && !(logits[id] > logits[best[count - 1]])) continue
    let at = best.length
    while (at > 0 && logits[best[at - 1]] < logits[id]) at--
    best.splice(at, 0, id)
    if (best.length > count) best.pop()
  }
  return best.map(id => ({ id, logProbability: logits[id] - normalizer }))
}

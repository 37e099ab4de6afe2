import { NONE, PieceTrie, ROOT } from './trie.js'
import type { Piece } from './spiece-model.js'

/** The score of an unknown character is this much below the lowest score of a piece, as in SentencePiece. */
const UNKNOWN_PENALTY = 10

/** A part of a text: the id of a piece, or a run of characters that no piece contains. */
export type Part = number | { readonly unknown: string }

/**
 * SentencePiece's unigram segmentation (Kudo 2018, https://arxiv.org/abs/1804.10959): the pieces with the greatest sum
 * of scores that make up the text (Viterbi). Sums are rounded to float32 before they are compared, as in SentencePiece
 * 0.2.3, so that ties have the same result: `!!!!!!` of T5 is 3 55 17065. (SentencePiece up to 0.2.1 compared before it
 * rounded: 3 17065 55.)
 */
export class Unigram {
  private readonly trie: PieceTrie
  /** The score of each piece, by id. */
  private readonly scores: Float64Array
  private readonly unknownScore: number

  /**
   * `matched` holds the pieces that a text can be cut into, with their ids. SentencePiece adds their scores in float32,
   * the tokenizers library of Hugging Face in float64.
   */
  constructor(
    matched: readonly (readonly [piece: Piece, id: number])[],
    size: number,
    private readonly precision: 'float32' | 'float64' = 'float32',
  ) {
    let least = Infinity
    let greatest = -Infinity
    for (const [{ type, score }] of matched) {
      if (type !== 'normal') continue
      least = Math.min(least, score)
      greatest = Math.max(greatest, score)
    }
    if (least > greatest) least = greatest = 0
    this.unknownScore = this.round(least - UNKNOWN_PENALTY)
    this.trie = new PieceTrie(matched.map(([{ text }, id]) => [text, id]))
    this.scores = new Float64Array(size)
    const utf8 = new TextEncoder()
    for (const [{ text, score, type }, id] of matched) {
      // SentencePiece's bonus, which makes it choose a user-defined piece wherever one occurs.
      this.scores[id] = type === 'userDefined' ? Math.fround(utf8.encode(text).length * greatest) - 0.1 : score
    }
  }

  private round(sum: number): number {
    return this.precision === 'float32' ? Math.fround(sum) : sum
  }

  /** Cuts a normalized, well-formed text into parts. */
  segment(text: string): Part[] {
    const { trie, scores } = this
    const n = text.length
    const best = new Float64Array(n + 1)
    const start = new Int32Array(n + 1).fill(-1) // where the best part that ends here starts
    const ids = new Int32Array(n + 1) // its piece, or NONE
    /** Records the part `from`..`to` if it gives the best segmentation up to `to` so far. */
    const reach = (from: number, to: number, id: number, score: number): void => {
      const total = this.round(score + best[from])
      if (start[to] >= 0 && total <= best[to]) return
      best[to] = total
      start[to] = from
      ids[to] = id
    }
    for (let from = 0; from < n;) {
      const next = from + (text.codePointAt(from)! > 0xffff ? 2 : 1)
      let known = false
      let node = ROOT
      for (let to = from; to < n;) {
        node = trie.child(node, text.charCodeAt(to++))
        if (node === NONE) break
        const id = trie.idAt(node)
        if (id === NONE) continue
        reach(from, to, id, scores[id])
        if (to === next) known = true
      }
      if (!known) reach(from, next, NONE, this.unknownScore)
      from = next
    }
    return traceBack(text, start, ids)
  }
}

/** The best parts from first to last. Adjacent unknown characters are merged into one part. */
function traceBack(text: string, start: Int32Array, ids: Int32Array): Part[] {
  const parts: Part[] = []
  for (let end = text.length; end > 0;) {
    if (ids[end] !== NONE) {
      parts.push(ids[end])
      end = start[end]
      continue
    }
    let from = start[end]
    while (from > 0 && ids[from] === NONE) from = start[from]
    parts.push({ unknown: text.slice(from, end) })
    end = from
  }
  return parts.reverse()
}

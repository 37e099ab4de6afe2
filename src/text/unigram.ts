import { SPACE_SYMBOL } from './normalizer.js'
import { NONE, PieceTrie, ROOT } from './trie.js'
import type { Piece } from './spiece-model.js'

/** The score of an unknown character is this much below the lowest score of a piece, as in SentencePiece. */
const UNKNOWN_PENALTY = 10

/** A part of a text: the id of a piece, or a run of characters that no piece contains. */
export type Part = number | { readonly unknown: string }

interface Lattice {
  /** The sum of the scores of the best segmentation up to each position. */
  readonly best: Float64Array
  /** Where the best part that ends at each position starts; -1 if none ends there. */
  readonly start: Int32Array
  /** The piece of that part, or NONE. */
  readonly ids: Int32Array
  /** How much better that part is than the next best one. */
  readonly margin: Float64Array
}

/** A word's segmentation, which holds for any text before the word unless rounding could exceed its margin. */
interface Word {
  readonly parts: readonly Part[]
  readonly margin: number
  /** The negative sum of the scores. */
  readonly total: number
}

const MAX_WORDS = 50_000
const MAX_WORD = 64
/** Twice the rounding of a float32, for each of two segmentations. */
const ROUNDING = 2 ** -22

/**
 * SentencePiece's unigram segmentation (Kudo 2018, https://arxiv.org/abs/1804.10959): the pieces with the greatest sum
 * of scores that make up the text (Viterbi). Sums are rounded to float32 before they are compared, as in SentencePiece
 * 0.2.3, so that ties have the same result: `!!!!!!` of T5 is 3 55 17065. (SentencePiece up to 0.2.1 compared before it
 * rounded: 3 17065 55.)
 */
export class Unigram {
  private readonly trie: PieceTrie
  /** Words met before, if a text can be cut word by word: no piece has a space inside. */
  private readonly words: Map<string, Word> | undefined
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
    const isWhole = matched.every(([{ text, score }]) => score <= 0 && text.indexOf(SPACE_SYMBOL, 1) < 0)
    const hasSpace = matched.some(([{ text }]) => text === SPACE_SYMBOL)
    this.words = isWhole && hasSpace ? new Map() : undefined
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
    if (!this.words) return traceBack(text, this.viterbi(text, 0))
    const parts: Part[] = []
    /** The size of the sum of scores so far, and the sum as it is rounded, of the first `summed` parts. */
    let size = 0
    let sum = 0
    let summed = 0
    for (let from = 0; from < text.length;) {
      const next = text.indexOf(SPACE_SYMBOL, from + 1)
      const end = next < 0 ? text.length : next
      const word = text.slice(from, end)
      const known = this.words.get(word) ?? this.remember(word)
      size += known.total
      let found = known.parts
      if (known.margin <= word.length * ROUNDING * size) {
        for (; summed < parts.length; summed++) sum = this.add(sum, parts[summed])
        found = traceBack(word, this.viterbi(word, sum))
      }
      for (let i = 0; i < found.length; i++) parts.push(found[i])
      from = end
    }
    return parts
  }

  private add(sum: number, part: Part): number {
    if (typeof part === 'number') return this.round(sum + this.scores[part])
    return Array.from(part.unknown).reduce(total => this.round(total + this.unknownScore), sum)
  }

  /** Cuts a word and keeps the result; the oldest words are forgotten. */
  private remember(word: string): Word {
    const lattice = this.viterbi(word, 0)
    let margin = Infinity
    for (let end = word.length; end > 0; end = lattice.start[end]) margin = Math.min(margin, lattice.margin[end])
    const known = { parts: traceBack(word, lattice), margin, total: -lattice.best[word.length] }
    if (word.length > MAX_WORD) return known
    if (this.words!.size >= MAX_WORDS) this.words!.delete(this.words!.keys().next().value!)
    this.words!.set(word, known)
    return known
  }

  /** The best segmentation up to each position, where the text before has the sum of scores `before`. */
  private viterbi(text: string, before: number): Lattice {
    const { trie, scores } = this
    const n = text.length
    const best = new Float64Array(n + 1)
    best[0] = before
    const start = new Int32Array(n + 1).fill(-1)
    const ids = new Int32Array(n + 1)
    const margin = new Float64Array(n + 1).fill(Infinity)
    const reach = (from: number, to: number, id: number, score: number): void => {
      const total = this.round(score + best[from])
      if (start[to] >= 0) {
        const better = total - best[to]
        if (better <= 0) {
          margin[to] = Math.min(margin[to], -better)
          return
        }
        margin[to] = better
      }
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
    return { best, start, ids, margin }
  }
}

/** The best parts from first to last. Adjacent unknown characters are merged into one part. */
function traceBack(text: string, { start, ids }: Lattice): Part[] {
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

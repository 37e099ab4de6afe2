import { ConfigError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import { byteFallback } from './byte-fallback.js'
import { MinHeap } from './min-heap.js'
import type { Model, TokenTable } from './table-models.js'
import { unknownId } from './table-models.js'

export interface BpeOptions {
  /** Pairs of tokens, the ones to merge first at the start. */
  readonly merges: readonly (readonly [string, string])[]
  /** Written before each character but a word's first. */
  readonly continuingSubwordPrefix: string
  /** Written after a word's last character. */
  readonly endOfWordSuffix: string
  /** Unknown characters in a row are one unknown token. */
  readonly fuseUnk: boolean
  /** A character without a token is written as its bytes, if all of them are tokens. */
  readonly byteFallback: boolean
  /** A word that is a token is not made of merges. */
  readonly ignoreMerges: boolean
}

const MAX_WORDS = 50_000
const MAX_WORD = 64
/** Above every id and every rank. */
const IDS = 2 ** 21
/** Above every position in a word. */
const POSITIONS = 2 ** 31

/**
 * Byte-pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909), as in the tokenizers library: a word's
 * characters are tokens, and the pair that is first in the list of merges becomes one token until no pair is in it. Of
 * equal pairs, the leftmost is merged first. Takes time n log(n) for a word of n characters.
 */
export function bpe(table: TokenTable, options: BpeOptions): Model {
  const { ids: vocab } = table
  const ranks = new Map<number, number>()
  const results: number[] = []
  options.merges.forEach(([left, right], rank) => {
    const { continuingSubwordPrefix: prefix } = options
    const [a, b, result] = [left, right, left + (right.startsWith(prefix) ? right.slice(prefix.length) : right)].map(
      token => {
        const id = vocab.get(token)
        if (id === undefined)
          throw new ConfigError(
            `the merge ${JSON.stringify([left, right])} of the tokenizer.json needs the token ${JSON.stringify(token)}, which its vocabulary lacks`,
          )
        return id
      },
    )
    ranks.set(a * IDS + b, rank)
    results.push(result)
  })
  const symbols = symbolsOf(table, options)
  const words = new Lru<string, readonly number[]>(MAX_WORDS)
  return (word, ids) => {
    const whole = options.ignoreMerges ? vocab.get(word) : undefined
    if (whole !== undefined) {
      ids.push(whole)
      return
    }
    let known = words.peek(word)
    if (known === undefined) {
      known = mergeAll(symbols(word), ranks, results)
      if (word.length <= MAX_WORD) words.set(word, known)
    }
    for (let i = 0; i < known.length; i++) ids.push(known[i])
  }
}

/** The ids of a word's characters. */
function symbolsOf(table: TokenTable, options: BpeOptions): (word: string) => number[] {
  const { ids: vocab, unknown } = table
  const bytesOf = options.byteFallback ? byteFallback(vocab) : undefined
  return word => {
    const result: number[] = []
    const characters = Array.from(word)
    /** An unknown token that is written before the next token that is known. */
    let pending: number | undefined
    characters.forEach((character, i) => {
      const before = i > 0 ? options.continuingSubwordPrefix : ''
      const symbol = before + character + (i === characters.length - 1 ? options.endOfWordSuffix : '')
      const id = vocab.get(symbol)
      if (id !== undefined) {
        if (pending !== undefined) result.push(pending)
        pending = undefined
        result.push(id)
        return
      }
      const bytes = bytesOf?.(symbol)
      if (bytes) result.push(...bytes)
      else if (unknown !== undefined) {
        if (pending !== undefined && !options.fuseUnk) result.push(pending)
        pending = unknownId(table, symbol)
      }
    })
    if (pending !== undefined) result.push(pending)
    return result
  }
}

function mergeAll(symbols: number[], ranks: ReadonlyMap<number, number>, results: readonly number[]): number[] {
  const n = symbols.length
  if (n < 2) return symbols
  const next = Int32Array.from({ length: n }, (_, i) => i + 1)
  const previous = Int32Array.from({ length: n }, (_, i) => i - 1)
  const removed = new Uint8Array(n)
  /** Pairs to merge: their rank times POSITIONS, plus the position of the left one. */
  const queue = new MinHeap()
  const rankAt = (at: number): number | undefined =>
    next[at] < n ? ranks.get(symbols[at] * IDS + symbols[next[at]]) : undefined
  const offer = (at: number): void => {
    const rank = rankAt(at)
    if (rank !== undefined) queue.push(rank * POSITIONS + at)
  }
  for (let at = 0; at + 1 < n; at++) offer(at)
  for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
    const at = top % POSITIONS
    const result = results[(top - at) / POSITIONS]
    const rank = removed[at] ? undefined : rankAt(at)
    // The pair may have changed since; it is merged if the result is still the same.
    if (rank === undefined || results[rank] !== result) continue
    const right = next[at]
    symbols[at] = result
    removed[right] = 1
    next[at] = next[right]
    if (next[at] < n) previous[next[at]] = at
    if (previous[at] >= 0) offer(previous[at])
    offer(at)
  }
  return symbols.filter((_, i) => !removed[i])
}

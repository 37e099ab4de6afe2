/** The tokens of a vocabulary as a tree of their bytes, in arrays: a node comes before its children. */
export class TokenTrie {
  /** The number of tokens of the vocabulary. */
  readonly size: number
  /** The byte that leads to each node, and the number of bytes before it. */
  readonly byte: Uint8Array
  readonly depth: Uint16Array
  /** The first node after each node and all nodes below it. */
  readonly after: Int32Array
  /** The tokens of node i are `ids[first[i]]` to `ids[first[i + 1] - 1]`. */
  readonly ids: Int32Array
  readonly first: Int32Array
  /** Tokens without a byte. */
  readonly empty: readonly number[]
  readonly maxDepth: number

  /** `bytes`: of each token; null for those that are no text. */
  constructor(bytes: readonly (Uint8Array | null)[]) {
    this.size = bytes.length
    const all = bytes.flatMap((own, id) => (own === null ? [] : [{ own, id }]))
    this.empty = all.filter(({ own }) => own.length === 0).map(({ id }) => id)
    const tokens = all.filter(({ own }) => own.length > 0).sort((a, b) => compare(a.own, b.own))
    this.maxDepth = tokens.reduce((most, { own }) => Math.max(most, own.length), 0)
    const [byte, depth, first, after]: number[][] = [[], [], [], []]
    /** The nodes on the way to the last token. */
    const way: number[] = []
    const leave = (length: number): void => {
      while (way.length > length) after[way.pop()!] = byte.length
    }
    tokens.forEach(({ own }, i) => {
      leave(i === 0 ? 0 : countCommon(tokens[i - 1].own, own))
      while (way.length < own.length) {
        depth.push(way.length)
        // Nodes on the way to a longer token have none of their own.
        first.push(i)
        way.push(byte.push(own[way.length]) - 1)
      }
    })
    leave(0)
    first.push(tokens.length)
    this.byte = Uint8Array.from(byte)
    this.depth = Uint16Array.from(depth)
    this.after = Int32Array.from(after)
    this.first = Int32Array.from(first)
    this.ids = Int32Array.from(tokens, ({ id }) => id)
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const at = countCommon(a, b)
  return (a[at] ?? -1) - (b[at] ?? -1)
}

function countCommon(a: Uint8Array, b: Uint8Array): number {
  let i = 0
  while (i < a.length && i < b.length && a[i] === b[i]) i++
  return i
}

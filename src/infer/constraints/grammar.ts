import { ConfigError } from '../../base/errors.js'
import { utf8Sequences } from './utf8.js'
import type { Range } from './utf8.js'

/** A step by one byte from `low` to `high`. */
export interface ByteEdge {
  readonly low: number
  readonly high: number
  readonly to: number
}

/** A step over a text of another rule, which begins at the node `rule`. */
export interface Call {
  readonly rule: number
  readonly to: number
}

/** The steps that leave a node. */
export interface GrammarNode {
  readonly edges: ByteEdge[]
  /** Steps without a byte. */
  readonly jumps: number[]
  readonly calls: Call[]
  /** Whether a text of the rule may end here. */
  isEnd: boolean
}

/** The most nodes of a grammar. A character of any alphabet takes 9, a repetition of a rule 2. */
const MAX_NODES = 50_000

/**
 * A grammar of texts in UTF-8, as a graph. A rule is the part of the graph that begins at one node; rules call each
 * other, so texts may be nested to any depth. Builders take the node that a text begins at, and return the node that it
 * ends at. A loop has a node of its own, because other texts may begin at the node that a builder is given.
 */
export class Grammar {
  readonly nodes: GrammarNode[] = []

  node(): number {
    if (this.nodes.length >= MAX_NODES)
      throw new ConfigError(
        `the regular expression or JSON schema is too large: it needs more than ${MAX_NODES} states. Use smaller numbers of repetitions`,
      )
    return this.nodes.push({ edges: [], jumps: [], calls: [], isEnd: false }) - 1
  }

  /** A rule that `build` makes. */
  rule(build: (from: number) => number): number {
    const start = this.node()
    this.nodes[build(start)].isEnd = true
    return start
  }

  jump(from: number, to: number): void {
    this.nodes[from].jumps.push(to)
  }

  call(from: number, rule: number): number {
    const to = this.node()
    this.nodes[from].calls.push({ rule, to })
    return to
  }

  text(from: number, text: string): number {
    let at = from
    for (const byte of new TextEncoder().encode(text)) at = this.byte(at, byte, byte)
    return at
  }

  /** One character of ranges of code points. */
  character(from: number, ranges: readonly Range[]): number {
    const to = this.node()
    for (const [low, high] of ranges)
      for (const sequence of utf8Sequences(low, high)) {
        let at = from
        sequence.forEach(([first, last], i) => {
          at = this.byte(at, first, last, i === sequence.length - 1 ? to : undefined)
        })
      }
    return to
  }

  /** One of several texts. */
  either(from: number, builds: readonly ((from: number) => number)[]): number {
    const to = this.node()
    for (const build of builds) this.jump(build(from), to)
    return to
  }

  /** From `min` to `max` times a text; `max` may be Infinity. */
  repeat(from: number, min: number, max: number, build: (from: number) => number): number {
    let at = from
    for (let i = 0; i < min; i++) at = build(at)
    if (max === Infinity) {
      const loop = this.node()
      this.jump(at, loop)
      this.jump(build(loop), loop)
      return loop
    }
    const to = this.node()
    for (let i = min; i < max; i++) {
      this.jump(at, to)
      at = build(at)
    }
    this.jump(at, to)
    return to
  }

  private byte(from: number, low: number, high: number, to = this.node()): number {
    this.nodes[from].edges.push({ low, high, to })
    return to
  }

  /**
   * Removes steps that lead to no end because a byte that they need is not in `alphabet`. Throws a ConfigError, which
   * names missing characters, if the rule at `start` has no text then.
   */
  prune(start: number, alphabet: ReadonlySet<number>): void {
    const missing = new Set<number>()
    for (const node of this.nodes) {
      const kept = node.edges.flatMap(edge => withinAlphabet(edge, alphabet, missing))
      node.edges.splice(0, Infinity, ...kept)
    }
    const ending = this.endingNodes()
    for (const node of this.nodes) {
      const keep = <T>(list: T[], holds: (item: T) => boolean): void =>
        void list.splice(0, Infinity, ...list.filter(holds))
      keep(node.edges, ({ to }) => ending.has(to))
      keep(node.jumps, to => ending.has(to))
      keep(node.calls, ({ rule, to }) => ending.has(rule) && ending.has(to))
    }
    if (!ending.has(start)) {
      const characters = [...missing].filter(byte => byte > 0x20 && byte < 0x7f).slice(0, 12)
      throw new ConfigError(
        `no answer of this model's tokens fits the regular expression or JSON schema${
          characters.length > 0
            ? `: it has no tokens with ${String.fromCharCode(...characters)
                .split('')
                .join(' ')}`
            : ''
        }`,
      )
    }
  }

  /** The nodes from which the end of their rule can be reached. */
  private endingNodes(): Set<number> {
    const before = new Map<number, number[]>()
    const add = (to: number, from: number): void => void (before.get(to)?.push(from) ?? before.set(to, [from]))
    this.nodes.forEach(({ edges, jumps, calls }, from) => {
      for (const { to } of edges) add(to, from)
      for (const to of jumps) add(to, from)
      for (const { rule, to } of calls) {
        add(rule, from)
        add(to, from)
      }
    })
    const ending = new Set<number>()
    const reaches = ({ edges, jumps, calls, isEnd }: GrammarNode): boolean =>
      isEnd ||
      edges.some(({ to }) => ending.has(to)) ||
      jumps.some(to => ending.has(to)) ||
      calls.some(({ rule, to }) => ending.has(rule) && ending.has(to))
    const open = this.nodes.flatMap(({ isEnd }, node) => (isEnd ? [node] : []))
    while (open.length > 0) {
      const node = open.pop()!
      if (ending.has(node) || !reaches(this.nodes[node])) continue
      ending.add(node)
      open.push(...(before.get(node) ?? []))
    }
    return ending
  }
}

/** The parts of a step whose bytes are in an alphabet. A single byte that is not is added to `missing`. */
function withinAlphabet(
  { low, high, to }: ByteEdge,
  alphabet: ReadonlySet<number>,
  missing: Set<number>,
): readonly ByteEdge[] {
  const parts: ByteEdge[] = []
  let first = low
  for (let byte = low; byte <= high + 1; byte++) {
    if (byte <= high && alphabet.has(byte)) continue
    if (byte > first) parts.push({ low: first, high: byte - 1, to })
    if (byte === low && byte === high) missing.add(byte)
    first = byte + 1
  }
  return parts
}

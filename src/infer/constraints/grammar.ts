import { ConfigError } from '../../base/errors.js'
import type { Alphabet } from './alphabet.js'
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

/** A part of a grammar that has a name. Its characters are `written[first]` to `written[last - 1]`. */
interface Part {
  readonly name: string
  readonly begin: number
  readonly end: number
  readonly first: number
  readonly last: number
}

/** Why a rule has no text: the smallest part that has none, if parts have names, and characters that are missing. */
export interface Impossible {
  readonly part: string | undefined
  readonly missing: readonly string[]
}

/**
 * A grammar of texts in UTF-8, as a graph. A rule is the part of the graph that begins at one node; rules call each
 * other, so texts may be nested to any depth. Builders take the node that a text begins at, and return the node that it
 * ends at. A loop has a node of its own, because other texts may begin at the node that a builder is given.
 */
export class Grammar {
  readonly nodes: GrammarNode[] = []
  /** The code points of each character, in the order of building. */
  private readonly written: (readonly Range[])[] = []
  private readonly parts: Part[] = []
  /** Nodes from which tokens of one byte lead to the end of their rule. */
  private sure: ReadonlySet<number> = new Set()

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
    for (const character of text) this.written.push([[character.codePointAt(0)!, character.codePointAt(0)!]])
    for (const byte of new TextEncoder().encode(text)) at = this.byte(at, byte, byte)
    return at
  }

  /** One character of ranges of code points. */
  character(from: number, ranges: readonly Range[]): number {
    const to = this.node()
    this.written.push(ranges)
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

  /** A part that messages can name, if it turns out that no text can have it. */
  part(from: number, name: string, build: (from: number) => number): number {
    const [begin, first] = [this.node(), this.written.length]
    this.jump(from, begin)
    const end = build(begin)
    this.parts.push({ name, begin, end, first, last: this.written.length })
    return end
  }

  private byte(from: number, low: number, high: number, to = this.node()): number {
    this.nodes[from].edges.push({ low, high, to })
    return to
  }

  /**
   * Removes steps that lead to no end because a byte that they need is not in the alphabet. Returns why the rule at
   * `start` has no text then; undefined if it has one.
   */
  prune(start: number, alphabet: Alphabet): Impossible | undefined {
    for (const node of this.nodes) {
      const kept = node.edges.flatMap(edge => withinAlphabet(edge, alphabet.bytes))
      node.edges.splice(0, Infinity, ...kept)
    }
    const ending = this.endingNodes(() => true)
    if (!ending.has(start)) return this.whyImpossible(alphabet, ending)
    for (const node of this.nodes) {
      const keep = <T>(list: T[], holds: (item: T) => boolean): void =>
        void list.splice(0, Infinity, ...list.filter(holds))
      keep(node.edges, ({ to }) => ending.has(to))
      keep(node.jumps, to => ending.has(to))
      keep(node.calls, ({ rule, to }) => ending.has(rule) && ending.has(to))
    }
    this.sure = this.endingNodes(({ low, high }) => {
      for (let byte = low; byte <= high; byte++) if (alphabet.tokens.has(byte)) return true
      return false
    })
    return undefined
  }

  /** Whether tokens of one byte lead from a node to the end of its rule. Known after `prune`. */
  isSure(node: number): boolean {
    return this.sure.has(node)
  }

  private whyImpossible(alphabet: Alphabet, ending: ReadonlySet<number>): Impossible {
    // Parts are listed after the parts within them.
    const part = this.parts.find(({ begin, end }) => !this.isReachable(begin, end, ending))
    const missing = this.written
      .slice(part?.first, part?.last)
      .filter(ranges => ranges.length > 0 && !alphabet.hasAny(ranges))
      .map(([[low, high]]) => (low === high ? '' : `${String.fromCodePoint(low)}-`) + String.fromCodePoint(high))
    return { part: part?.name, missing: [...new Set(missing)] }
  }

  /** Whether a text leads from a node to another one of the same rule. */
  private isReachable(from: number, to: number, ending: ReadonlySet<number>): boolean {
    const seen = new Set([from])
    // A set that is added to while it is read is read to its end.
    for (const node of seen) {
      const { edges, jumps, calls } = this.nodes[node]
      for (const edge of edges) seen.add(edge.to)
      for (const jump of jumps) seen.add(jump)
      for (const call of calls) if (ending.has(call.rule)) seen.add(call.to)
    }
    return seen.has(to)
  }

  /** The nodes from which the end of their rule can be reached by edges that may be used. */
  private endingNodes(mayUse: (edge: ByteEdge) => boolean): Set<number> {
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
      edges.some(edge => ending.has(edge.to) && mayUse(edge)) ||
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

/** The parts of a step whose bytes are in an alphabet. */
function withinAlphabet({ low, high, to }: ByteEdge, bytes: ReadonlySet<number>): readonly ByteEdge[] {
  const parts: ByteEdge[] = []
  let first = low
  for (let byte = low; byte <= high + 1; byte++) {
    if (byte <= high && bytes.has(byte)) continue
    if (byte > first) parts.push({ low: first, high: byte - 1, to })
    first = byte + 1
  }
  return parts
}

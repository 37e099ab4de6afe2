import { Lru } from '../../base/lru.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import { randomStream } from '../random-stream.js'
import { Alphabet } from './alphabet.js'
import { NOWHERE } from './matcher.js'
import type { Matcher, State } from './matcher.js'
import { tokenBytes } from '../token-bytes.js'
import type { TokenBytes } from '../token-bytes.js'
import { TokenTrie } from './token-trie.js'
import { STEPS_OF_A_TOKEN } from './work-limit.js'
import type { WorkLimit } from './work-limit.js'

/** A vocabulary's tokens, for masks. */
export interface MaskTokens {
  readonly bytes: TokenBytes
  /** Of a first token, and of later ones. */
  readonly first: TokenTrie
  readonly later: TokenTrie
  readonly alphabet: Alphabet
}

/** Made once for each vocabulary: it takes 50 to 250 ms for T5's. */
const known = new WeakMap<Vocabulary, MaskTokens>()

export function maskTokens(vocabulary: Vocabulary): MaskTokens {
  let tokens = known.get(vocabulary)
  if (tokens === undefined) {
    const bytes = ofTexts(tokenBytes(vocabulary), vocabulary)
    const { first, later } = bytes
    tokens = { bytes, first: new TokenTrie(first), later: new TokenTrie(later), alphabet: new Alphabet(bytes) }
    known.set(vocabulary, tokens)
  }
  return tokens
}

/** Without special tokens: no text that is asked for is made of them. */
function ofTexts({ first, later }: TokenBytes, { padId, eosId, unkId, sentinelIds }: Vocabulary): TokenBytes {
  const special = new Set([padId, eosId, unkId, ...sentinelIds])
  const without = (all: TokenBytes['first']): TokenBytes['first'] =>
    all.map((bytes, id) => (special.has(id) ? null : bytes))
  return { first: without(first), later: without(later) }
}

/** Which tokens may follow: one bit for each token id. */
export class Mask {
  private readonly bits: Uint8Array

  constructor(size: number) {
    this.bits = new Uint8Array((size + 7) >> 3)
  }

  add(id: number): void {
    this.bits[id >> 3] |= 1 << (id & 7)
  }

  has(id: number): boolean {
    return ((this.bits[id >> 3] ?? 0) & (1 << (id & 7))) !== 0
  }

  get isEmpty(): boolean {
    return this.bits.every(byte => byte === 0)
  }
}

/** How many masks a constraint keeps. One for T5's vocabulary has 4 KB, and takes 1 to 20 ms. */
const MAX_MASKS = 500

/**
 * How many states are tried to tell whether a text can be completed. More are needed only by schemas that refer to
 * themselves, of a vocabulary without tokens of one character: then the text counts as one that can be completed.
 */
const MAX_TRIED = 2000

/** How far the trial of a constraint's costs reads. */
const MOST_BYTES_OF_THE_TRIAL = 1000

/**
 * The tokens that may follow each state of a matcher: those after which other tokens can still complete the text. The
 * work for one mask is limited: see WorkLimit.
 */
export class TokenMasks {
  private readonly masks = { first: new Lru<State, Mask>(1), later: new Lru<State, Mask>(MAX_MASKS) }
  private readonly states = new WeakMap<State, ReadonlySet<State>>()
  private readonly completable = new WeakMap<State, boolean>()

  constructor(
    private readonly matcher: Matcher,
    private readonly tokens: MaskTokens,
    private readonly work: WorkLimit,
  ) {}

  get start(): State {
    return this.matcher.start
  }

  /** The state after a token; null: no text of the grammar goes on with it. */
  after(state: State, token: number, isFirst: boolean): State | null {
    const { [token]: bytes } = this.tokens.bytes[isFirst ? 'first' : 'later']
    if (!bytes) return null
    this.matcher.begin(state)
    let { row } = state
    for (let i = 0; i < bytes.length && row !== NOWHERE; i++) row = this.matcher.nextRow(row, bytes[i])
    return row === NOWHERE ? null : this.matcher.stateAt(row)
  }

  /** The tokens that may follow a state. */
  allowed(state: State, isFirst: boolean): Mask {
    const masks = this.masks[isFirst ? 'first' : 'later']
    let mask = masks.get(state)
    if (mask === undefined) {
      this.matcher.begin(state)
      masks.set(state, (mask = this.compute(state, this.tokens[isFirst ? 'first' : 'later'])))
    }
    return mask
  }

  private compute(state: State, trie: TokenTrie): Mask {
    const mask = new Mask(trie.size)
    const { empty, ids } = trie
    if (empty.length > 0 && this.canComplete(state)) for (const id of empty) mask.add(id)
    this.walk(state, trie, (next, from, to) => {
      if (next.isSure || this.canComplete(next)) for (let i = from; i < to; i++) mask.add(ids[i])
    })
    return mask
  }

  /** Calls `reached` with each state that tokens of the trie lead to from a state, and their places in `trie.ids`. */
  private walk(state: State, trie: TokenTrie, reached: (next: State, from: number, to: number) => void): void {
    const { byte, depth, after, first } = trie
    const { matcher } = this
    /** The rows of the states after the first bytes of a token. */
    const rows = new Int32Array(trie.maxDepth + 1)
    rows[0] = state.row
    let steps = 0
    for (let node = 0; node < byte.length; steps++) {
      const at = depth[node]
      const row = matcher.nextRow(rows[at], byte[node])
      if (row === NOWHERE) {
        node = after[node]
        continue
      }
      rows[at + 1] = row
      if (first[node] < first[node + 1]) reached(matcher.stateAt(row), first[node], first[node + 1])
      node++
    }
    this.work.spend(steps)
  }

  /** Whether tokens can complete the text from a state. */
  private canComplete(state: State): boolean {
    if (state.isSure) return true
    const answer = this.completable.get(state)
    if (answer !== undefined) return answer
    // A search in depth: the ends of most grammars are far from their states.
    const before = new Map<State, State[]>([[state, []]])
    const open = [state]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (before.size > MAX_TRIED) return true
      for (const next of this.following(at)) {
        if (next.isSure || this.completable.get(next) === true) {
          this.markCompletable(at, before)
          return true
        }
        const known = before.get(next)
        if (known !== undefined) known.push(at)
        else if (this.completable.get(next) === undefined) {
          before.set(next, [at])
          open.push(next)
        }
      }
    }
    for (const at of before.keys()) this.completable.set(at, false)
    return false
  }

  private markCompletable(state: State, before: ReadonlyMap<State, readonly State[]>): void {
    const marked = new Set([state])
    for (const at of marked) for (const earlier of before.get(at) ?? []) marked.add(earlier)
    for (const at of marked) this.completable.set(at, true)
  }

  /** The states after one more token, which is not the first. */
  private following(state: State): ReadonlySet<State> {
    let states = this.states.get(state)
    if (states === undefined) {
      const found = new Set<State>()
      this.walk(state, this.tokens.later, next => found.add(next))
      this.states.set(state, (states = found))
    }
    return states
  }

  /** Whether there is an answer. `isFirst`: it begins with its first token, not after a prefix. */
  hasAnswer(isFirst: boolean): boolean {
    return this.start.isEnd || !this.allowed(this.start, isFirst).isEmpty
  }

  /**
   * Throws a ConfigError if the masks within a text are too costly. It reads one long text, whose bytes are chosen at
   * random among those that lead to many edges, and makes the mask of the state that has the most.
   */
  tryCosts(): void {
    const { classes } = this.matcher
    const random = randomStream(0)
    let [at, worst] = [this.start, this.start]
    let spent = 0
    for (let read = 0; read < MOST_BYTES_OF_THE_TRIAL && spent < STEPS_OF_A_TOKEN; read++) {
      this.matcher.begin(at)
      const after = (kind: number): State[] => {
        const row = this.matcher.nextRow(at.row, classes[kind])
        return row === NOWHERE ? [] : [this.matcher.stateAt(row)]
      }
      const some = Array.from({ length: 4 }, () => after(Math.floor(random() * classes.length))).flat()
      const all = some.length > 0 ? some : classes.flatMap((_, kind) => after(kind))
      if (all.length === 0) break
      at = all.reduce((a, b) => (this.matcher.edgesOf(b) > this.matcher.edgesOf(a) ? b : a))
      if (this.matcher.edgesOf(at) > this.matcher.edgesOf(worst)) worst = at
      spent += this.work.spent
    }
    this.matcher.begin(worst)
    this.compute(worst, this.tokens.later)
    this.work.checkTrial()
  }
}

import type { Grammar } from './grammar.js'
import type { WorkLimit } from './work-limit.js'

/**
 * The callers of a rule at one place of a text: the node that follows each call, and the callers of the rule that makes
 * the call. The rule of the whole text has no callers.
 */
interface Callers {
  readonly id: number
  readonly returns: ReadonlyMap<number, Callers>
  /** Whether single characters can complete the text after the rule has ended. */
  readonly isSure: boolean
}

const NOBODY: Callers = { id: 0, returns: new Map(), isSure: true }

/**
 * All places of the grammar where a beginning of a text may be. States of different texts with the same places are one.
 */
export interface State {
  /** The state's row in the table of transitions; -1 if the table has forgotten it. */
  row: number
  /** Nodes that have edges, with the callers of their rule. */
  readonly places: readonly { readonly node: number; readonly callers: Callers }[]
  /** Whether the text may end here. */
  readonly isEnd: boolean
  /** Whether tokens of one character can complete the text. */
  readonly isSure: boolean
}

/** More states are forgotten, and made again when they are needed: those of a schema's nested texts have no end. */
const MAX_STATES = 20_000

/** In the table of transitions: it is not known yet where a byte leads, and no text goes on with it. */
const UNKNOWN = -2
export const NOWHERE = -1

/** What sorting an entry and adding it to a key costs, in steps of the work limit. */
const STEPS_OF_AN_ENTRY = 8

/**
 * Reads texts by a grammar, byte by byte. Which state follows is found when it is needed, and kept in a table. A step
 * of the work limit is an edge, a jump or a call that is looked at.
 */
export class Matcher {
  readonly start: State
  /** Bytes that every edge has both or neither of are of one class. */
  private readonly classOf: Uint8Array
  /** One byte of each class. */
  readonly classes: readonly number[]
  /** The number of classes. */
  private readonly width: number
  private nextId = 1
  private states: State[] = []
  private byPlaces = new Map<string, State>()
  private callers = new Map<string, Callers>()
  /** The row of the next state, for each row of a state and class. */
  private table: Int32Array

  constructor(
    private readonly grammar: Grammar,
    rule: number,
    private readonly work: WorkLimit,
  ) {
    const begins = new Set([0])
    for (const { edges } of grammar.nodes) for (const { low, high } of edges) begins.add(low).add(high + 1)
    let count = -1
    this.classOf = Uint8Array.from({ length: 256 }, (_, byte) => (begins.has(byte) ? ++count : count))
    this.classes = [...begins].filter(byte => byte < 256).sort((a, b) => a - b)
    this.width = this.classes.length
    this.table = new Int32Array(64 * this.width).fill(UNKNOWN)
    this.start = this.stateOf([[rule, NOBODY]])
  }

  /** Begins the work for one token with a state. Only here are states forgotten. */
  begin(state: State): void {
    this.work.begin()
    if (this.states.length > MAX_STATES) this.forget()
    if (state.row < 0) this.addRow(state)
  }

  /** The row of the state after one more byte; NOWHERE: no text of the grammar begins so. */
  nextRow(row: number, byte: number): number {
    const at = row * this.width + this.classOf[byte]
    let next = this.table[at]
    if (next === UNKNOWN) {
      next = this.read(this.states[row], byte)?.row ?? NOWHERE
      this.table[at] = next
    }
    return next
  }

  /** The state of a row. */
  stateAt(row: number): State {
    return this.states[row]
  }

  private read(state: State, byte: number): State | null {
    const reached: [number, Callers][] = []
    for (const { node, callers } of state.places) {
      const { edges } = this.grammar.nodes[node]
      this.work.spend(edges.length)
      for (const { low, high, to } of edges) if (low <= byte && byte <= high) reached.push([to, callers])
    }
    return reached.length === 0 ? null : this.stateOf(reached)
  }

  /** How many edges a state has: what the states after it cost. */
  edgesOf({ places }: State): number {
    return places.reduce((sum, { node }) => sum + this.grammar.nodes[node].edges.length, 0)
  }

  /** The state of places and of all places that follow from them without a byte. */
  private stateOf(reached: readonly (readonly [node: number, callers: Callers])[]): State {
    const places = new Map<number, Callers>()
    const open: number[] = []
    const add = (node: number, callers: Callers): void => {
      const before = places.get(node)
      if (before === callers) return
      const all = before === undefined ? callers : this.union([before, callers])
      if (all === before) return
      places.set(node, all)
      open.push(node)
    }
    for (const [node, callers] of reached) add(node, callers)
    let isEnd = false
    /** The calls of each rule. They are added together: adding one by one makes a list of callers for each. */
    const called = new Map<number, Pick<Callers, 'returns'>[]>()
    while (open.length > 0) {
      for (let node = open.pop(); node !== undefined; node = open.pop()) {
        const callers = places.get(node)!
        const { jumps, calls, isEnd: ends } = this.grammar.nodes[node]
        this.work.spend(1 + jumps.length + calls.length)
        for (const to of jumps) add(to, callers)
        for (const { rule, to } of calls) {
          const call = { returns: new Map([[to, callers]]) }
          if (!called.get(rule)?.push(call)) called.set(rule, [call])
        }
        if (!ends) continue
        if (callers === NOBODY) isEnd = true
        this.work.spend(callers.returns.size)
        for (const [to, above] of callers.returns) add(to, above)
      }
      for (const [rule, calls] of called) add(rule, this.union(calls))
      called.clear()
    }
    const reading = [...places.keys()].filter(node => this.grammar.nodes[node].edges.length > 0).sort((a, b) => a - b)
    this.work.spend(STEPS_OF_AN_ENTRY * reading.length)
    const key = `${isEnd}${reading.map(node => ` ${node} ${places.get(node)!.id}`).join('')}`
    let state = this.byPlaces.get(key)
    if (state === undefined) {
      const kept = reading.map(node => ({ node, callers: places.get(node)! }))
      const isSure = isEnd || kept.some(({ node, callers }) => this.grammar.isSure(node) && callers.isSure)
      state = { row: -1, places: kept, isEnd, isSure }
      this.byPlaces.set(key, state)
      this.addRow(state)
    }
    return state
  }

  private addRow(state: State): void {
    state.row = this.states.push(state) - 1
    const used = this.states.length * this.width
    if (used <= this.table.length) return
    const larger = new Int32Array(2 * used).fill(UNKNOWN)
    larger.set(this.table)
    this.table = larger
  }

  /** All callers of several lists. Those that return to the same node are one. */
  private union(lists: readonly Pick<Callers, 'returns'>[]): Callers {
    const all = new Map<number, Callers[]>()
    for (const { returns } of lists)
      for (const [to, above] of returns) {
        const known = all.get(to)
        if (known === undefined) all.set(to, [above])
        else if (!known.includes(above)) known.push(above)
      }
    this.work.spend(STEPS_OF_AN_ENTRY * all.size)
    const returns = [...all].map(([to, above]) => [to, above.length === 1 ? above[0] : this.union(above)] as const)
    returns.sort(([a], [b]) => a - b)
    const key = returns.map(([to, { id }]) => `${to} ${id}`).join(' ')
    let callers = this.callers.get(key)
    if (callers === undefined) {
      const isSure = returns.some(([to, above]) => this.grammar.isSure(to) && above.isSure)
      this.callers.set(key, (callers = { id: this.nextId++, returns: new Map(returns), isSure }))
    }
    return callers
  }

  /** Forgets all states. Those that are still used are added again as other ones. */
  private forget(): void {
    for (const state of this.states) state.row = -1
    this.states = []
    this.byPlaces = new Map()
    this.callers = new Map()
    this.table = new Int32Array(64 * this.width).fill(UNKNOWN)
  }
}

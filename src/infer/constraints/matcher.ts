import { ConfigError } from '../../base/errors.js'
import type { Grammar } from './grammar.js'

/** The callers of a rule: the node that follows the call, and the caller's own callers. null: the whole text's rule. */
type Stack = { readonly id: number; readonly to: number; readonly callers: Stack } | null

/** A place in the grammar. */
interface Place {
  readonly id: number
  readonly node: number
  readonly callers: Stack
}

/** All places where a beginning of a text may be. States of different texts with the same places are one. */
export interface State {
  readonly places: readonly Place[]
  /** Whether the text may end here. */
  readonly isEnd: boolean
  /** The state after each byte, as far as it was needed; null: no text goes on with this byte. */
  readonly next: (State | null | undefined)[]
}

/** More states are forgotten, and made again when they are needed: those of a schema's nested texts have no end. */
const MAX_STATES = 20_000

/** A rule that calls itself before it has read anything has places without end; many optional parts have many. */
const MAX_PLACES = 20_000

/** Reads texts by a grammar, byte by byte. */
export class Matcher {
  readonly start: State
  private nextId = 0
  private states = new Map<string, State>()
  private places = new Map<string, Place>()
  private stacks = new Map<string, NonNullable<Stack>>()

  constructor(
    private readonly grammar: Grammar,
    rule: number,
  ) {
    this.start = this.stateOf([this.place(rule, null)])
  }

  /** The state after one more byte; null: no text of the grammar begins so. */
  next(state: State, byte: number): State | null {
    const known = state.next[byte]
    if (known !== undefined) return known
    const reached: Place[] = []
    for (const { node, callers } of state.places)
      for (const { low, high, to } of this.grammar.nodes[node].edges)
        if (low <= byte && byte <= high) reached.push(this.place(to, callers))
    return (state.next[byte] = reached.length === 0 ? null : this.stateOf(reached))
  }

  /** The state of places and of all places that follow from them without a byte. */
  private stateOf(from: readonly Place[]): State {
    const places = new Map<number, Place>()
    let isEnd = false
    const open = [...from]
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (places.has(place.id)) continue
      if (places.size >= MAX_PLACES)
        throw new ConfigError(
          'the JSON schema refers to itself without an object, an array or a text between, or the regular expression has too many optional parts',
        )
      places.set(place.id, place)
      const { node, callers } = place
      const { jumps, calls, isEnd: ends } = this.grammar.nodes[node]
      for (const to of jumps) open.push(this.place(to, callers))
      for (const { rule, to } of calls) open.push(this.place(rule, this.stack(to, callers)))
      if (ends && callers !== null) open.push(this.place(callers.to, callers.callers))
      if (ends && callers === null) isEnd = true
    }
    const reading = [...places.values()].filter(({ node }) => this.grammar.nodes[node].edges.length > 0)
    const key = `${isEnd} ${reading.map(({ id }) => id).sort((a, b) => a - b)}`
    let state = this.states.get(key)
    if (state === undefined) {
      if (this.states.size >= MAX_STATES) this.forget()
      state = { places: reading, isEnd, next: [] }
      this.states.set(key, state)
    }
    return state
  }

  private place(node: number, callers: Stack): Place {
    const key = `${node} ${callers?.id ?? -1}`
    let place = this.places.get(key)
    if (place === undefined) this.places.set(key, (place = { id: this.nextId++, node, callers }))
    return place
  }

  private stack(to: number, callers: Stack): NonNullable<Stack> {
    const key = `${to} ${callers?.id ?? -1}`
    let stack = this.stacks.get(key)
    if (stack === undefined) this.stacks.set(key, (stack = { id: this.nextId++, to, callers }))
    return stack
  }

  /** Forgets all states. Those that are still used are not found again, and forget which states follow. */
  private forget(): void {
    this.start.next.length = 0
    for (const { next } of this.states.values()) next.length = 0
    this.states = new Map()
    this.places = new Map()
    this.stacks = new Map()
  }
}

import type { Vocabulary } from '../../text/vocabulary.js'
import type { Matcher, State } from './matcher.js'
import { tokenBytes } from './token-bytes.js'

/** The tokens of a vocabulary in the order of their bytes, so that tokens which begin alike are read together. */
interface SortedTokens {
  readonly bytes: readonly (Uint8Array | null)[] // by id
  readonly ids: Int32Array
  /** How many first bytes each token has in common with the one before. */
  readonly common: Int32Array
}

/** A vocabulary's tokens, for masks. */
export interface MaskTokens {
  /** Of a first token, and of later ones. */
  readonly first: SortedTokens
  readonly later: SortedTokens
  /** All bytes of all tokens. */
  readonly alphabet: ReadonlySet<number>
}

/** Made once for each vocabulary: it takes 50 to 250 ms for T5's. */
const known = new WeakMap<Vocabulary, MaskTokens>()

export function maskTokens(vocabulary: Vocabulary): MaskTokens {
  let tokens = known.get(vocabulary)
  if (tokens === undefined) {
    const { first, later } = tokenBytes(vocabulary)
    const alphabet = new Set<number>()
    for (const bytes of [...first, ...later]) bytes?.forEach(byte => alphabet.add(byte))
    known.set(vocabulary, (tokens = { first: sorted(first), later: sorted(later), alphabet }))
  }
  return tokens
}

function sorted(bytes: readonly (Uint8Array | null)[]): SortedTokens {
  const ids = Int32Array.from(bytes.flatMap((own, id) => (own === null ? [] : [id])))
  ids.sort((a, b) => compare(bytes[a]!, bytes[b]!))
  const common = ids.map((id, i) => (i === 0 ? 0 : countCommon(bytes[ids[i - 1]]!, bytes[id]!)))
  return { bytes, ids, common }
}

const compare = (a: Uint8Array, b: Uint8Array): number => {
  const at = countCommon(a, b)
  return (a[at] ?? -1) - (b[at] ?? -1)
}

function countCommon(a: Uint8Array, b: Uint8Array): number {
  let i = 0
  while (i < a.length && i < b.length && a[i] === b[i]) i++
  return i
}

/** The tokens that may follow each state of a matcher. */
export class TokenMasks {
  private readonly masks = new WeakMap<State, { first?: Uint8Array; later?: Uint8Array }>()

  constructor(
    private readonly matcher: Matcher,
    private readonly tokens: MaskTokens,
  ) {}

  get start(): State {
    return this.matcher.start
  }

  /** The state after a token; null: no text of the grammar goes on with it. */
  after(state: State, token: number, isFirst: boolean): State | null {
    const bytes = (isFirst ? this.tokens.first : this.tokens.later).bytes[token]
    if (!bytes) return null
    let next: State | null = state
    for (let i = 0; i < bytes.length && next !== null; i++) next = this.matcher.next(next, bytes[i])
    return next
  }

  /** For each token id, whether it may follow a state: 1 or 0. */
  allowed(state: State, isFirst: boolean): Uint8Array {
    let masks = this.masks.get(state)
    if (masks === undefined) this.masks.set(state, (masks = {}))
    return (masks[isFirst ? 'first' : 'later'] ??= this.compute(state, this.tokens[isFirst ? 'first' : 'later']))
  }

  private compute(state: State, { bytes, ids, common }: SortedTokens): Uint8Array {
    const allowed = new Uint8Array(bytes.length)
    /** The states after the first bytes of the current token. */
    const states: State[] = [state]
    let reached = 0 // how many first bytes of the current token were read
    for (let i = 0; i < ids.length; i++) {
      // A token that has the byte in common that was not possible is not possible either.
      if (i > 0 && common[i] > reached) continue
      const own = bytes[ids[i]]!
      for (reached = i === 0 ? 0 : Math.min(common[i], reached); reached < own.length; reached++) {
        const next = this.matcher.next(states[reached], own[reached])
        if (next === null) break
        states[reached + 1] = next
      }
      if (reached === own.length) allowed[ids[i]] = 1
    }
    return allowed
  }
}

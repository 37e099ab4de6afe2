import { countPadded } from './padded-inputs.js'
import type { Request } from './request.js'

/**
 * How many waiting requests are considered for a group, from the oldest on. More would take longer to compare than they
 * save: groups rarely have more than a few dozens.
 */
const CONSIDERED = 128

/**
 * When so many later requests have passed one for which there is no room yet, such as a beam search with many rows, all
 * later ones wait until it has room. A server of 64 rows decodes about as many narrow ones at once.
 */
const MOST_PASSING = 64

/** A group has at most as many tokens of padding as of its inputs, rows of padding included ... */
const MOST_PADDED = 2

/** ... but small groups may have any: an encoding of so few tokens takes hardly less time than one of these. */
const SMALL_GROUP = 128

/** Which requests may be encoded together now. */
export interface GroupRules {
  /** Whether there is room for the last of these requests beside the others. */
  hasRoom(requests: readonly Request[]): boolean
  /** Whether these may be encoded together now. */
  mayEncode(requests: readonly Request[]): boolean
  /** Whether all that may be encoded together must be, in their order, because the results depend on the batch. */
  readonly isOneBatch: boolean
}

interface Waiting {
  readonly request: Request
  /** How many later requests have been taken before it while there was no room for it. */
  passed: number
}

/**
 * The requests that wait until there is room for them, in the order of their arrival. Of those for which there is room,
 * the oldest is always in the next group.
 */
export class WaitingRequests {
  private list: Waiting[] = []

  get size(): number {
    return this.list.length
  }

  add(request: Request): void {
    this.list.push({ request, passed: 0 })
  }

  /** Removes a request. Returns whether it waited. */
  remove(request: Request): boolean {
    const before = this.size
    this.list = this.list.filter(waiting => waiting.request !== request)
    return this.size < before
  }

  /** Removes all requests, and returns them. */
  removeAll(): Request[] {
    return this.list.splice(0).map(({ request }) => request)
  }

  /** Removes the requests to encode together next: the oldest one, and those whose inputs are about as long. */
  takeGroup(rules: GroupRules): Request[] {
    const group = rules.isOneBatch ? this.batch(rules) : this.near(rules)
    if (group.length === 0) return []
    const isTaken = new Set(group)
    let later = 0
    for (const waiting of this.list.toReversed()) {
      if (isTaken.has(waiting)) later++
      else if (later > 0 && lacksRoom(waiting, rules)) waiting.passed += later
    }
    this.list = this.list.filter(waiting => !isTaken.has(waiting))
    return group.map(({ request }) => request)
  }

  private batch(rules: GroupRules): Waiting[] {
    const end = this.list.findIndex((_, i) => !fits(this.list.slice(0, i + 1), rules))
    return end < 0 ? this.list : this.list.slice(0, end)
  }

  private near(rules: GroupRules): Waiting[] {
    // No request passes one that has been passed often.
    const due = this.list.findIndex(waiting => waiting.passed >= MOST_PASSING && lacksRoom(waiting, rules))
    const candidates = this.list.slice(0, due < 0 ? CONSIDERED : Math.min(due + 1, CONSIDERED))
    const oldest = candidates.find(waiting => fits([waiting], rules))
    if (!oldest) return []
    const difference = ({ request }: Waiting): number => Math.abs(request.inputs.length - oldest.request.inputs.length)
    const group = [oldest]
    for (const waiting of candidates.filter(w => w !== oldest).sort((a, b) => difference(a) - difference(b)))
      if (fits([...group, waiting], rules)) group.push(waiting)
    return group.slice(0, bestLength(group))
  }
}

const fits = (group: readonly Waiting[], { mayEncode, hasRoom }: GroupRules): boolean => {
  const requests = group.map(({ request }) => request)
  return mayEncode(requests) && hasRoom(requests)
}

/**
 * Whether a request waits for room, not only for its turn: others in the next group do not delay it, nor do short
 * inputs that pass a long one while another long one is encoded.
 */
const lacksRoom = ({ request }: Waiting, { mayEncode, hasRoom }: GroupRules): boolean =>
  mayEncode([request]) && !hasRoom([request])

/** How many of a group, from the first on, can be encoded together without much padding: as many as possible. */
function bestLength(group: readonly Waiting[]): number {
  const inputs = group.map(({ request }) => request.inputs)
  let tokens = 0
  let best = 1
  inputs.forEach((input, i) => {
    tokens += input.length
    const padded = countPadded(inputs.slice(0, i + 1))
    if (padded <= Math.max(SMALL_GROUP, MOST_PADDED * tokens)) best = i + 1
  })
  return best
}

import { expect, it } from 'vitest'
import { countRows } from './request.js'
import type { Request } from './request.js'
import { greedySearch } from './search.js'
import { WaitingRequests } from './waiting-requests.js'
import type { GroupRules } from './waiting-requests.js'

const request = (length: number, rows = 1): Request => ({
  inputs: new Array<number>(length).fill(2),
  search: { ...greedySearch({ maxNewTokens: 1 }), rows },
  onEnd: () => undefined,
})

const waitingFor = (requests: readonly Request[]): WaitingRequests => {
  const waiting = new WaitingRequests()
  requests.forEach(r => waiting.add(r))
  return waiting
}

const room = (rows: number, changes: Partial<GroupRules> = {}): GroupRules => ({
  hasRoom: requests => countRows(requests) <= rows,
  mayEncode: () => true,
  isOneBatch: false,
  ...changes,
})

const lengthsOf = (requests: readonly Request[]): number[] => requests.map(({ inputs }) => inputs.length)

it('a group has the oldest request, and those of about its length', () => {
  const waiting = waitingFor([200, 16, 180, 16, 16, 190, 200, 16].map(length => request(length)))
  expect(lengthsOf(waiting.takeGroup(room(4)))).toEqual([200, 200, 190, 180])
  expect(lengthsOf(waiting.takeGroup(room(4)))).toEqual([16, 16, 16, 16])
  expect(waiting.size).toBe(0)
})

it('a group has little padding, unless it is small', () => {
  // Five rows are padded to eight: here of 48 tokens, beside which one of 112 waits for the next group.
  const waiting = waitingFor([48, 112, 48, 40, 48].map(length => request(length)))
  expect(lengthsOf(waiting.takeGroup(room(8)))).toEqual([48, 48, 48, 40])
  expect(lengthsOf(waiting.takeGroup(room(8)))).toEqual([112])
  expect(lengthsOf(waitingFor([request(3), request(30), request(4)]).takeGroup(room(8)))).toEqual([3, 4, 30])
  expect(lengthsOf(waitingFor([request(3), request(300), request(4)]).takeGroup(room(8)))).toEqual([3, 4])
})

it('narrow requests pass a wide one for which there is no room, but not for ever', () => {
  const waiting = waitingFor([request(8, 4)])
  let passing = 0
  for (; passing < 1000; passing++) {
    waiting.add(request(8))
    if (waiting.takeGroup(room(3)).length === 0) break
  }
  expect(passing).toBe(64)
  // It goes as soon as there is room; then the later one.
  expect(waiting.takeGroup(room(4)).map(({ search }) => search.rows)).toEqual([4])
  expect(waiting.takeGroup(room(1)).map(({ search }) => search.rows)).toEqual([1])
})

it('short inputs always pass a long one that waits for the encoding of another one', () => {
  const waiting = waitingFor([request(5000)])
  const isShort = (requests: readonly Request[]): boolean => requests.every(({ inputs }) => inputs.length < 100)
  for (let i = 0; i < 100; i++) {
    waiting.add(request(8))
    expect(lengthsOf(waiting.takeGroup(room(4, { mayEncode: isShort })))).toEqual([8])
  }
  expect(lengthsOf(waiting.takeGroup(room(4)))).toEqual([5000])
})

it('no request waits for more groups than there were requests before it', () => {
  const lengths = Array.from({ length: 60 }, (_, i) => (i * 37) % 200)
  const all = lengths.map(length => request(length))
  const waiting = waitingFor(all)
  const done = new Set<Request>()
  for (let group = 0; waiting.size > 0; group++) {
    // New requests of one length, which is nobody's near length.
    waiting.add(request(500))
    waiting.add(request(500))
    const oldest = all.find(r => !done.has(r))
    const taken = waiting.takeGroup(room(2))
    if (oldest === undefined) break
    expect(taken).toContain(oldest)
    taken.forEach(r => done.add(r))
    expect(group).toBeLessThan(60)
  }
})

it('keeps a batch together whose results depend on all of it', () => {
  const waiting = waitingFor([500, 3, 500, 3].map(length => request(length)))
  expect(lengthsOf(waiting.takeGroup(room(3, { isOneBatch: true })))).toEqual([500, 3, 500])
})

it('tells whether it has removed a request', () => {
  const [first, second] = [request(1), request(2)]
  const waiting = waitingFor([first])
  expect([waiting.remove(second), waiting.remove(first), waiting.size]).toEqual([false, true, 0])
  waiting.add(second)
  expect([waiting.removeAll(), waiting.size]).toEqual([[second], 0])
})

import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { AnswerQueue } from './answer-queue.js'
import type { Request } from './request.js'
import type { Scheduler } from './scheduler.js'
import type { Search } from './search.js'

const search: Search = { rows: 1, next: () => null, answers: () => [] }

/** A scheduler that ends one request in each step, and a record of the steps' requests. */
function scheduler(): { scheduler: Scheduler; inputs: number[][] } {
  const waiting: Request[] = []
  const inputs: number[][] = []
  const fake = {
    get isIdle(): boolean {
      return waiting.length === 0
    },
    add: (request: Request) => void waiting.push(request),
    remove: (request: Request) => {
      if (!waiting.includes(request)) throw new Error('an unknown request is removed')
      waiting.splice(waiting.indexOf(request), 1)
    },
    step: async () => {
      inputs.push(waiting.map(request => request.inputs[0]))
      await Promise.resolve()
      waiting.shift()?.onEnd()
    },
  }
  return { scheduler: fake as unknown as Scheduler, inputs }
}

describe('AnswerQueue', () => {
  it('starts requests of one turn together, and steps until all have ended', async () => {
    const { scheduler: steps, inputs } = scheduler()
    const queue = new AnswerQueue(steps)
    await Promise.all([1, 2, 3].map(id => queue.run([id], search)))
    expect(inputs).toEqual([[1, 2, 3], [2, 3], [3]])
    await queue.run([4], search)
    expect(inputs.at(-1)).toEqual([4])
  })

  it('rejects a request as soon as it is aborted, and one whose signal is aborted already', async () => {
    const { scheduler: steps, inputs } = scheduler()
    const queue = new AnswerQueue(steps)
    const controller = new AbortController()
    const [first, aborted] = [queue.run([1], search), queue.run([2], search, { signal: controller.signal })]
    controller.abort(new Error('left'))
    await expect(aborted).rejects.toThrow('left')
    await first
    await expect(queue.run([3], search, { signal: controller.signal })).rejects.toThrow('left')
    expect(inputs).toEqual([[1]])
  })

  it('listens once to a signal that many requests share, and not at all when they have ended', async () => {
    const queue = new AnswerQueue(scheduler().scheduler)
    const { signal } = new AbortController()
    const all = Promise.all(Array.from({ length: 20 }, (_, id) => queue.run([id], search, { signal })))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await all
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})

import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import type { ModelParams } from '../model/types.js'
import { BatchQueue } from './batch-queue.js'
import type { Generator } from './generate.js'
import type { Search } from './search.js'

const search = (rows: number): Search => ({ rows, next: () => null, answers: () => [] })

/** A queue of at most 4 rows in a batch, and a record of its batches: the rows of each search. */
function queue(fails = false): { batches: number[][]; run: (rows: number, signal?: AbortSignal) => Promise<void> } {
  const batches: number[][] = []
  const generate: Generator = async (_, _inputs, searches) => {
    batches.push(searches.map(({ rows }) => rows))
    await Promise.resolve()
    if (fails) throw new Error('no memory')
    for (const { rows, next } of searches) next(new Float32Array(rows * 8))
    return []
  }
  const requests = new BatchQueue(generate, {} as ModelParams, { maxRows: 4 })
  return { batches, run: (rows, signal) => requests.run([1], search(rows), { signal }) }
}

describe('BatchQueue', () => {
  it('fills batches up to maxRows, in order; a larger search has a batch of its own', async () => {
    const { batches, run } = queue()
    await Promise.all([1, 3, 2, 6, 1, 1].map(rows => run(rows)))
    expect(batches).toEqual([[1, 3], [2], [6], [1, 1]])
    await run(2)
    expect(batches.at(-1)).toEqual([2])
  })

  it('leaves out a request that is aborted while it waits', async () => {
    const { batches, run } = queue()
    const controller = new AbortController()
    const [first, aborted] = [run(4), run(2, controller.signal)]
    controller.abort(new Error('left'))
    await first
    await expect(aborted).rejects.toThrow('left')
    await expect(run(1, controller.signal)).rejects.toThrow('left')
    expect(batches).toEqual([[4]])
  })

  it('rejects a waiting request as soon as it is aborted, and gives its place to others', async () => {
    let endBatch = (): void => undefined
    const batches: number[] = []
    const generate: Generator = async (_, _inputs, searches) => {
      batches.push(searches.length)
      await new Promise<void>(resolve => (endBatch = resolve))
      return []
    }
    const requests = new BatchQueue(generate, {} as ModelParams, { maxRows: 4 })
    const first = requests.run([1], search(4))
    await vi.waitFor(() => expect(batches).toEqual([1]))
    const controller = new AbortController()
    const aborted = requests.run([1], search(3), { signal: controller.signal })
    const others = [requests.run([1], search(2)), requests.run([1], search(2))]
    controller.abort(new Error('left'))
    await expect(aborted).rejects.toThrow('left')
    endBatch()
    await first
    await vi.waitFor(() => expect(batches).toEqual([1, 2]))
    endBatch()
    await Promise.all(others)
  })

  it('listens once to a signal that many requests share', async () => {
    const { run } = queue()
    const { signal } = new AbortController()
    await Promise.all(Array.from({ length: 20 }, () => run(1, signal)))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  })

  it('rejects every request of a failed batch, and runs the next batch', async () => {
    const { batches, run } = queue(true)
    const results = await Promise.allSettled([run(4), run(1), run(2)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(batches).toEqual([[4], [1, 2]])
  })
})

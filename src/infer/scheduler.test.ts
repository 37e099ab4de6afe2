import { beforeAll, describe, expect, it } from 'vitest'
import { smallSizes } from '../../test/small-model.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelConfig } from '../model/config.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import type { ModelParams } from '../model/types.js'
import { AnswerQueue } from './answer-queue.js'
import { beamSearch } from './beam.js'
import { banTokens, minNewTokens, noRepeatNgram, repetitionPenalty } from './processors.js'
import { Scheduler } from './scheduler.js'
import type { SchedulerOptions } from './scheduler.js'
import { greedySearch, sampling } from './search.js'
import type { Answer, Search } from './search.js'

const { model, router } = preset('switch-base-8')
const config: ModelConfig = {
  ...model,
  ...smallSizes,
  vocabSize: 40,
  numExperts: 4,
  dtype: 'float32',
  // These settings make an untrained model's answers differ.
  initScale: 8,
  tiedLogits: false,
  scaleLogits: false,
}
const forward = { config, router, mode: 'eval' } as const
const maxNewTokens = 40
const limits: SchedulerOptions = {
  maxInputTokens: 100,
  maxNewTokens,
  maxRows: 8,
  maxMemoryBytes: 2 ** 20,
  release: false,
}
let params: ModelParams
beforeAll(() => {
  params = jit((key: Tensor) => initParameters(declareParameters(config, router), key))(random.key(5))
})

/** Numbers from 0 to n - 1, the same for the same seed. */
function dice(seed: number): (n: number) => number {
  let state = seed
  return n => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

interface Asked {
  readonly inputs: number[]
  readonly search: () => Search
}

/** Random requests: inputs and answers of very different lengths, and all kinds of searches. */
function requests(count: number, roll: (n: number) => number): Asked[] {
  return Array.from({ length: count }, (_, i) => {
    const options = { maxNewTokens: 1 + roll(maxNewTokens) }
    const kind = roll(4)
    return {
      inputs: [...Array.from({ length: roll(i % 5 === 0 ? 60 : 12) }, () => 2 + roll(38)), 1],
      search: () =>
        kind === 0
          ? beamSearch({ ...options, numBeams: 2 + (i % 2), numReturned: 2 })
          : kind === 1
            ? sampling({ ...options, seed: i, logProbabilities: true })
            : greedySearch({ ...options, logProbabilities: true }),
    }
  })
}

/** The answers to one more request. Steps are made until it ends. */
async function answersTo(scheduler: Scheduler, { inputs, search }: Asked): Promise<readonly Answer[]> {
  const asked = search()
  const ends: unknown[] = []
  scheduler.add({ inputs, search: asked, onEnd: error => ends.push(error) })
  while (ends.length === 0) await scheduler.step()
  if (ends[0] !== undefined) throw ends[0]
  return asked.answers()
}

describe('Scheduler', () => {
  it('gives each request the answers that it has alone, whenever others join and leave', async () => {
    const roll = dice(3)
    const all = requests(24, roll)
    const single = new Scheduler(params, forward, limits)
    const expected: (readonly Answer[])[] = []
    for (const request of all) expected.push(await answersTo(single, request))

    const scheduler = new Scheduler(params, forward, limits)
    const answers = new Map<number, readonly Answer[]>()
    const left = new Set<number>()
    const waiting = [...all.keys()]
    while (waiting.length > 0 || !scheduler.isIdle) {
      for (let n = roll(3); n > 0 && waiting.length > 0; n--) {
        const i = waiting.shift()!
        const search = all[i].search()
        let steps = 0
        const request = {
          inputs: all[i].inputs,
          search,
          onStep: () => {
            // Every sixth request is taken back while it runs.
            if (i % 6 === 5 && ++steps === 2) {
              left.add(i)
              scheduler.remove(request)
            }
          },
          onEnd: (error?: unknown) => {
            expect(error).toBe(undefined)
            answers.set(i, search.answers())
          },
        }
        scheduler.add(request)
      }
      await scheduler.step()
    }
    expect(left.size).toBeGreaterThan(0)
    for (const [i, given] of expected.entries()) {
      if (left.has(i)) continue
      const got = answers.get(i)!
      expect(got.map(({ tokens }) => tokens)).toEqual(given.map(({ tokens }) => tokens))
      given.forEach(({ score }, k) => expect(Math.abs(score - got[k].score)).toBeLessThan(1e-5 * Math.abs(score)))
    }
  })

  it('decodes tokens of others between the slices of a long input, and changes no answer', async () => {
    // An input of up to 32 tokens is encoded in one slice, one of 90 tokens in eight: two parts, four stages.
    const scheduler = new Scheduler(params, forward, { ...limits, sliceOperations: 6e5 })
    const input = (length: number): number[] => Array.from({ length }, (_, i) => 2 + ((i * 7) % 37))
    const events: string[] = []
    const searches: Search[] = []
    const ask = (name: string, inputs: number[], maxTokens: number): void => {
      const search = greedySearch({ maxNewTokens: maxTokens, logProbabilities: true })
      searches.push(search)
      scheduler.add({ inputs, search, onStep: () => events.push(name), onEnd: () => events.push(`${name} ended`) })
    }
    ask('first', input(9), 30)
    await scheduler.step()
    ask('long', input(90), 3)
    await scheduler.step()
    ask('other long', input(80), 3)
    ask('short', input(5), 3)
    expect(scheduler.statistics()).toMatchObject({ running: 2, waiting: 2 })
    while (!scheduler.isIdle) await scheduler.step()
    const before = (name: string): string[] => events.slice(0, events.indexOf(name))
    // One token of the first request for each slice, and for the encoding of the short input, which passes.
    expect(before('long').filter(name => name === 'first')).toHaveLength(1 + 8 + 1)
    expect(before('long')).toContain('short ended')
    expect(before('other long').filter(name => name === 'first')).toHaveLength(1 + 8 + 1 + 8)

    const single = new Scheduler(params, forward, limits)
    for (const [i, [inputs, maxTokens]] of (
      [
        [input(9), 30],
        [input(90), 3],
        [input(80), 3],
        [input(5), 3],
      ] as const
    ).entries()) {
      const search = (): Search => greedySearch({ maxNewTokens: maxTokens, logProbabilities: true })
      const [expected] = await answersTo(single, { inputs, search })
      const [answer] = searches[i].answers()
      expect(answer).toEqual(expected)
    }
  })

  it('ends an encoding that no request needs any more', async () => {
    const scheduler = new Scheduler(params, forward, { ...limits, sliceOperations: 6e5 })
    const ended: unknown[] = []
    // Two inputs that are encoded together, in several slices.
    const requests = [40, 48].map(length => ({
      inputs: new Array<number>(length).fill(5),
      search: greedySearch({ maxNewTokens: 2 }),
      onEnd: (error?: unknown) => void ended.push(error),
    }))
    for (const request of requests) scheduler.add(request)
    await scheduler.step()
    expect(scheduler.memorySizes).toBe(null)
    scheduler.remove(requests[0])
    while (!scheduler.isIdle) await scheduler.step()
    expect(ended).toEqual([undefined])
    expect(requests.map(({ search }) => search.answers()[0].tokens.length)).toEqual([0, 2])

    scheduler.add(requests[0])
    await scheduler.step()
    scheduler.remove(requests[0])
    await scheduler.step()
    expect(scheduler.isIdle).toBe(true)
    expect(ended).toHaveLength(1)
  })

  it('gives a greedy search the same answers with the most probable tokens as with all logits', async () => {
    const banning = [
      { processors: [] },
      { processors: [minNewTokens(9)] },
      { processors: [noRepeatNgram(1), minNewTokens(maxNewTokens)] },
      { processors: [repetitionPenalty(3)] },
      { processors: [banTokens([[5], [6, 7]])], prefix: [9, 9, 8] },
    ]
    const inputs = [
      [7, 12, 1],
      [30, 2, 2, 1],
      [21, 1],
    ]
    let [best, all] = [0, 0]
    const searchesOf = (hidesBest: boolean): Search[] =>
      inputs.flatMap(() =>
        banning.map(options => {
          const search = greedySearch({ maxNewTokens: 30, ...options })
          const next: Search['next'] = (...given) => (all++, search.next(...given))
          if (hidesBest) return { rows: 1, next, answers: () => search.answers() }
          return {
            rows: 1,
            get needsLogits() {
              return search.needsLogits
            },
            next,
            nextOfBest: (...given) => (best++, search.nextOfBest!(...given)),
            answers: () => search.answers(),
          }
        }),
      )
    const answersOf = async (searches: readonly Search[]): Promise<unknown> => {
      const queue = new AnswerQueue(new Scheduler(params, forward, { ...limits, maxRows: 16, maxMemoryBytes: 2 ** 30 }))
      const ended = searches.map((search, i) => queue.run(inputs[Math.floor(i / banning.length)], search))
      const problems = await Promise.allSettled(ended)
      return searches.map((search, i) => [search.answers(), problems[i]])
    }
    const expected = await answersOf(searchesOf(true))
    const steps = all
    expect(await answersOf(searchesOf(false))).toEqual(expected)
    expect(best + all).toBe(2 * steps)
    expect(best).toBeGreaterThan(steps / 2)
    // A repetition penalty needs all logits; so does a search that has made many tokens impossible.
    expect(all).toBeGreaterThan(steps + 60)
  })

  it('refuses a request that is too large, with its numbers, and answers the others', async () => {
    const memoryProblem = (task: string, bytes: number): string | undefined =>
      bytes > 2 ** 20 ? `no room for ${task}: ${bytes}` : undefined
    const scheduler = new Scheduler(params, forward, { ...limits, memoryProblem })
    const add = (length: number, rows: number): void =>
      scheduler.add({
        inputs: new Array<number>(length).fill(5),
        search: beamSearch({ maxNewTokens, numBeams: rows }),
        onEnd: () => undefined,
      })
    expect(() => add(101, 1)).toThrow('the input has 101 tokens, and at most 100 (maxInputTokens) are read')
    expect(() => add(90, 40)).toThrow('no room for an input of 90 tokens with 40 beams of at most 64 tokens: 3404928')
    expect(scheduler.isIdle).toBe(true)
    const [{ tokens }] = await answersTo(scheduler, { inputs: [7, 1], search: () => greedySearch({ maxNewTokens: 3 }) })
    expect(tokens).toHaveLength(3)
  })

  it('decodes no more rows at once than maxRows, but for a search that has more alone', async () => {
    const scheduler = new Scheduler(params, forward, { ...limits, maxRows: 4, maxMemoryBytes: 2 ** 30 })
    const atOnce: number[] = []
    let running = 0
    const ask = (rows: number): void => {
      const search = beamSearch({ maxNewTokens: 2, numBeams: rows })
      let isRunning = false
      scheduler.add({
        inputs: [5, 1],
        search: {
          rows,
          next: logits => {
            if (!isRunning) running += rows
            isRunning = true
            atOnce.push(running)
            return search.next(logits)
          },
          answers: () => search.answers(),
        },
        onEnd: () => (running -= rows),
      })
    }
    for (const rows of [3, 2, 6, 1, 1]) ask(rows)
    while (!scheduler.isIdle) await scheduler.step()
    expect(Math.max(...atOnce)).toBe(6)
    expect(atOnce.filter(n => n > 4).every(n => n === 6)).toBe(true)
  })

  it('ends a request alone whose search fails, or whose scores are NaN, and leaves no NaN in its rows', async () => {
    // An input with the token 39 has NaN scores: its embedding is NaN.
    const embedding = params.token_embedder!.embedding as Tensor
    const damaged: ModelParams = {
      ...params,
      token_embedder: { ...params.token_embedder!, embedding: embedding.at(39).set(np.full([config.dModel], NaN)) },
    }
    const scheduler = new Scheduler(damaged, forward, { ...limits, maxRows: 2 })
    const good = { inputs: [7, 12, 1], search: () => greedySearch({ maxNewTokens: 6 }) }
    const expected = await answersTo(scheduler, good)
    await expect(answersTo(scheduler, { ...good, inputs: [39, 1] })).rejects.toThrow('not numbers (NaN) after 0 tokens')

    const failing: Search = {
      rows: 1,
      next: () => {
        throw new Error('my search')
      },
      answers: () => [],
    }
    // A search that says by an error whether it needs logits fails too.
    const undecided: Search = {
      ...failing,
      get needsLogits(): boolean {
        throw new Error('my search is undecided')
      },
      nextOfBest: () => null,
    }
    const ended: unknown[] = []
    const keeper = greedySearch({ maxNewTokens: 30 })
    const onEnd = (error?: unknown): void => void ended.push(error)
    scheduler.add({ inputs: [9, 1], search: keeper, onEnd: () => undefined })
    scheduler.add({ inputs: [39, 1], search: greedySearch({ maxNewTokens: 6 }), onEnd })
    await scheduler.step()
    scheduler.add({ inputs: [5, 1], search: failing, onEnd })
    await scheduler.step()
    // The row of both is used again, while the first request keeps the memory alive.
    expect(await answersTo(scheduler, good)).toEqual(expected)
    scheduler.add({ inputs: [5, 1], search: undecided, onEnd })
    await scheduler.step()
    expect(ended.map(String)).toEqual([
      expect.stringContaining('NaN'),
      'Error: my search',
      'Error: my search is undecided',
    ])
  })

  it('ends a request alone whose function for the experts of its input fails', async () => {
    const scheduler = new Scheduler(params, forward, limits)
    const good = { inputs: [7, 12, 1], search: () => greedySearch({ maxNewTokens: 6 }) }
    const [expected] = await answersTo(scheduler, good)
    const ended: unknown[] = []
    // The next request is encoded together with this one.
    scheduler.add({
      inputs: [5, 1],
      search: greedySearch({ maxNewTokens: 6 }),
      onEncoded: () => {
        throw new Error('my function')
      },
      onEnd: error => ended.push(error),
    })
    const [answer] = await answersTo(scheduler, good)
    expect(answer.tokens).toEqual(expected.tokens)
    expect(ended.map(String)).toEqual(['Error: my function'])
    expect(scheduler.isIdle).toBe(true)
  })

  it('has a memory of the sizes in use, which grows and shrinks', async () => {
    const scheduler = new Scheduler(params, forward, { ...limits, maxNewTokens: 100, maxMemoryBytes: 2 ** 30 })
    // A search that appends token 5 until it has enough.
    const ask = (inputLength: number, tokens: number): void => {
      let made = 0
      scheduler.add({
        inputs: new Array<number>(inputLength).fill(5),
        search: { rows: 1, next: () => (++made < tokens ? { tokens: [5], parents: null } : null), answers: () => [] },
        onEnd: () => undefined,
      })
    }
    const after = async (steps: number): Promise<unknown> => {
      for (let i = 0; i < steps; i++) await scheduler.step()
      const sizes = scheduler.memorySizes
      return sizes && [sizes.rows, sizes.inputLength, sizes.length]
    }
    ask(3, 80)
    expect(await after(64)).toEqual([1, 16, 64])
    expect(await after(1)).toEqual([1, 16, 128])
    for (let i = 0; i < 4; i++) ask(90, 3)
    expect(await after(1)).toEqual([8, 128, 128])
    expect(await after(3)).toEqual([1, 16, 128])
    expect(await after(11)).toBe(null)
  })

  it('runs no more requests together than fit into maxMemoryBytes', async () => {
    // One request takes 16 + 64 positions of 2 layers, 2 heads and 8 numbers, keys and values, 4 bytes each.
    const scheduler = new Scheduler(params, forward, { ...limits, maxMemoryBytes: 2 * 80 * 2 * 2 * 2 * 8 * 4 })
    let mostRows = 0
    for (let i = 0; i < 5; i++)
      scheduler.add({ inputs: [5, 1], search: greedySearch({ maxNewTokens: 33 + i }), onEnd: () => undefined })
    while (!scheduler.isIdle) {
      await scheduler.step()
      mostRows = Math.max(mostRows, scheduler.memorySizes?.rows ?? 0)
    }
    expect(mostRows).toBe(2)
  })

  it('decodes a request alone that needs more memory than all may have together', async () => {
    const scheduler = new Scheduler(params, forward, { ...limits, maxMemoryBytes: 1 })
    const search = (): Search => greedySearch({ maxNewTokens: 3 })
    const searches = [search(), search()]
    const queue = new AnswerQueue(scheduler)
    await Promise.all(searches.map((each, i) => queue.run([7 + i, 1], each)))
    const single = new Scheduler(params, forward, limits)
    for (const [i, each] of searches.entries())
      expect(each.answers()).toEqual(await answersTo(single, { inputs: [7 + i, 1], search }))
  })

  it('clears the row of a request with NaN scores that is removed in the same step', async () => {
    const { embedding } = params.token_embedder!
    const damaged: ModelParams = {
      ...params,
      token_embedder: { embedding: (embedding as Tensor).at(39).set(np.full([config.dModel], NaN)) },
    }
    const scheduler = new Scheduler(damaged, forward, { ...limits, maxRows: 2 })
    scheduler.add({ inputs: [9, 1], search: greedySearch({ maxNewTokens: 30 }), onEnd: () => undefined })
    let isRemoved = false
    const bad = {
      inputs: [5, 39, 39, 39, 39, 1],
      search: greedySearch({ maxNewTokens: 6 }),
      onEnd: () => expect(isRemoved).toBe(false),
    }
    scheduler.add(bad)
    const step = scheduler.step()
    // The encoder is done after the first reads; the request is removed while its first token is decoded, or before.
    await new Promise(resolve => setImmediate(resolve))
    isRemoved = true
    scheduler.remove(bad)
    await step
    const search = (): Search => greedySearch({ maxNewTokens: 6 })
    expect((await answersTo(scheduler, { inputs: [7, 1], search }))[0].tokens).toHaveLength(6)
  })

  it('forgets a request that is removed while its input is encoded', async () => {
    const scheduler = new Scheduler(params, forward, limits)
    await answersTo(scheduler, { inputs: [7, 1], search: () => greedySearch({ maxNewTokens: 1 }) })
    const calls: string[] = []
    const request = {
      inputs: new Array<number>(90).fill(5),
      search: greedySearch({ maxNewTokens }),
      onStep: () => void calls.push('step'),
      onEnd: () => void calls.push('end'),
    }
    scheduler.add(request)
    const step = scheduler.step()
    await new Promise(resolve => setImmediate(resolve))
    scheduler.remove(request)
    await step
    await scheduler.step()
    expect(scheduler.isIdle).toBe(true)
    expect(calls).toEqual([])
  })

  it('ends all waiting requests if the model cannot be compiled, and tries again for later ones', async () => {
    const broken = { ...params, decoder: { ...params.decoder, logits_dense: undefined } } as unknown as ModelParams
    const scheduler = new Scheduler(broken, forward, limits)
    const ask = { inputs: [5, 1], search: () => greedySearch({ maxNewTokens: 2 }) }
    await expect(answersTo(scheduler, ask)).rejects.toThrow('logits_dense')
    await expect(answersTo(scheduler, ask)).rejects.toThrow('logits_dense')
  })
})

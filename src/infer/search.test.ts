import { describe, expect, it } from 'vitest'
import { beamSearch } from './beam.js'
import {
  banTokens,
  forceTokens,
  minNewTokens,
  minP,
  noRepeatNgram,
  repetitionPenalty,
  softmax,
  temperature,
  topK,
  topP,
} from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { NUM_BEST } from './row-scores.js'
import { epsilonCutoff, etaCutoff, typicalP } from './sampling-processors.js'
import { greedySearch, sampling, scoring } from './search.js'
import { severalSearches } from './several-searches.js'
import { randomStream } from './random-stream.js'
import type { Search } from './search.js'

const row = (...values: number[]): Float32Array => Float32Array.from(values)
const after = (process: ScoreProcessor, scores: number[], tokens: number[] = [0]): number[] => {
  const changed = row(...scores)
  process(changed, tokens)
  return [...changed]
}
const never = -Infinity
const logs = (...probabilities: number[]): number[] => [...row(...probabilities.map(Math.log))]

describe('processors', () => {
  it('make tokens impossible', () => {
    expect(after(minNewTokens(2), [1, 2, 3], [0, 5])).toEqual([1, never, 3])
    expect(after(minNewTokens(2), [1, 2, 3], [0, 5, 5])).toEqual([1, 2, 3])
    expect(after(noRepeatNgram(2), [1, 1, 1, 1], [0, 3, 2, 3])).toEqual([1, 1, never, 1])
    expect(after(noRepeatNgram(1), [1, 1, 1, 1], [0, 2])).toEqual([never, 1, never, 1])
    expect(after(banTokens([[3], [2, 1], [0, 2, 0]]), [1, 1, 1, 1], [0, 2])).toEqual([1, never, 1, never])
    expect(after(banTokens([[0, 2, 0]], { countStart: true }), [1, 1, 1, 1], [0, 2])).toEqual([never, 1, 1, 1])
    expect(after(forceTokens([3, 2]), [1, 1, 1, 1], [0, 3])).toEqual([never, never, 0, never])
    expect(after(forceTokens([3]), [1, 1, 1, 1], [0, 3])).toEqual([1, 1, 1, 1])
  })

  it('change the probabilities of tokens', () => {
    expect(after(repetitionPenalty(2), [1, 4, -4, 3], [0, 1, 2, 1])).toEqual([0.5, 2, -8, 3])
    expect(after(temperature(0.5), [1, -2])).toEqual([2, -4])
  })

  it('keep a token that is exactly min-p times as probable as the best, as transformers does', () => {
    const scores = logs(0.5, 0.25, 0.125, 0.125)
    expect(after(minP(0.5), scores)[1]).toBe(scores[1])
    expect(after(minP(0.25), scores).slice(2)).toEqual(scores.slice(2))
  })

  it('make improbable tokens impossible', () => {
    expect(after(topK(2), [3, 1, 2, 2])).toEqual([3, never, 2, 2])
    const scores = logs(0.5, 0.1, 0.3, 0.1)
    expect(after(topP(0.6), scores)).toEqual([scores[0], never, scores[2], never])
    expect(after(topP(0.4), scores)).toEqual([scores[0], never, never, never])
    expect(after(minP(0.5), scores)).toEqual([scores[0], never, scores[2], never])
    expect(after(topP(0), scores)).toEqual([scores[0], never, never, never])
    // Against the definition, with ties and impossible tokens.
    const random = randomStream(0)
    for (let round = 0; round < 200; round++) {
      const many = Float32Array.from({ length: 60 }, () => (random() < 0.1 ? -Infinity : Math.round(9 * random())))
      const [p, keep] = [random() < 0.2 ? 1 : random(), 1 + Math.floor(4 * random())]
      const order = Array.from(many.keys()).sort((a, b) => many[b] - many[a] || a - b)
      const shares = softmax(many)
      const before = order.map((_, rank) => order.slice(0, rank).reduce((sum, id) => sum + shares[id], 0))
      const expected = many.slice()
      order.forEach((id, rank) => {
        if (rank >= keep && before[rank] >= p) expected[id] = -Infinity
      })
      const scored = many.slice()
      topP(p, keep)(scored, [])
      expect(scored).toEqual(expected)
    }
  })

  it('leave as many tokens possible as a search needs', () => {
    const scores = logs(0.5, 0.1, 0.25, 0.15)
    const best3 = [scores[0], never, scores[2], scores[3]]
    for (const rule of [topP(0.2, 3), minP(0.9, 3), epsilonCutoff(0.4, 3), etaCutoff(0.9, 3)])
      expect(after(rule, scores)).toEqual(best3)
    expect(after(typicalP(0.01, 2), scores).filter(x => x > never)).toHaveLength(2)
  })

  it('refuse settings that are out of range', () => {
    expect(() => temperature(0)).toThrow('temperature must be greater than 0, not 0')
    expect(() => topP(1.5)).toThrow('topP must be from 0 to 1, not 1.5')
    expect(() => topK(0)).toThrow('topK must be a positive whole number, not 0')
  })
})

/** A model whose next token depends on the last one alone: logits of each token's successors. */
function run(search: Search, table: number[][]): void {
  let last: readonly number[] = Array.from({ length: search.rows }, () => 0)
  for (let going; (going = search.next(row(...last.flatMap(token => table[token]))));) last = going.tokens
}

describe('sampling', () => {
  const uniform = Array.from({ length: 5 }, () => [never, never, 0, 0, 0])
  const sample = (seed: number): readonly number[] => {
    const search = sampling({ maxNewTokens: 2000, seed })
    run(search, uniform)
    return search.answers()[0].tokens
  }

  it('draws from the distribution, the same for the same seed', () => {
    const tokens = sample(1)
    expect(sample(1)).toEqual(tokens)
    expect(sample(2)).not.toEqual(tokens)
    for (const token of [2, 3, 4])
      expect(Math.abs(tokens.filter(t => t === token).length / 2000 - 1 / 3)).toBeLessThan(0.04)
  })
})

describe('several searches', () => {
  const table = [logs(0, 0.2, 0.4, 0.4), [], logs(0, 0.5, 0.5, 0), logs(0, 0.1, 0.2, 0.7)]
  const options = { maxNewTokens: 6, seed: 3 }
  const tokensOf = (search: Search): (readonly number[])[] => {
    run(search, table)
    return search.answers().map(({ tokens }) => tokens)
  }

  it('give the answers of each by itself, whichever ends first', () => {
    const streams = [0, 1, 2, 3, 4, 5]
    const alone = streams.map(stream => tokensOf(sampling({ ...options, stream }))[0])
    expect(tokensOf(severalSearches(streams.map(stream => sampling({ ...options, stream }))))).toEqual(alone)
    expect(alone[0]).toEqual(tokensOf(sampling(options))[0])
    expect(new Set(alone.map(tokens => tokens.length)).size).toBeGreaterThan(1)
    expect(new Set(alone.map(String)).size).toBeGreaterThan(3)
  })
})

describe('a search whose processors leave no token', () => {
  const nothing: ScoreProcessor = (scores, tokens) => (tokens.length === 2 ? scores.fill(never) : undefined)
  const table = [logs(0, 0, 0.6, 0.4), [], logs(0, 0, 0.5, 0.5), logs(0, 0, 0.5, 0.5)]
  it.each<[string, Search]>([
    ['greedy', greedySearch({ maxNewTokens: 4, processors: [nothing] })],
    ['sampling', sampling({ maxNewTokens: 4, processors: [nothing], seed: 1 })],
    ['beams', beamSearch({ maxNewTokens: 4, processors: [nothing], numBeams: 2 })],
  ])('fails: %s', (_, search) => {
    expect(() => run(search, table)).toThrow('no token is possible after 1 token of the answer')
  })

  it('has the answers that it found, if it is of beams', () => {
    const early = [logs(0, 0.5, 0.3, 0.2), [], logs(0, 0, 0.5, 0.5), logs(0, 0, 0.5, 0.5)]
    const search = beamSearch({ maxNewTokens: 4, processors: [nothing], numBeams: 2, numReturned: 2 })
    run(search, early)
    expect(search.answers().map(({ tokens }) => tokens)).toEqual([[1]])
  })

  it('goes on with fewer tokens than beams', () => {
    const two: ScoreProcessor = scores => scores.fill(never, 3)
    const search = beamSearch({ maxNewTokens: 2, processors: [two], numBeams: 4, numReturned: 4 })
    run(search, [logs(0, 0, 1, 0), [], logs(0, 0.25, 0.75, 0), []])
    expect(search.answers().map(({ tokens }) => tokens)).toEqual([
      [2, 2],
      [2, 1],
    ])
  })
})

describe('greedy search by the most probable tokens', () => {
  const best = (ids: number[], scores: number[]): Parameters<NonNullable<Search['nextOfBest']>>[0] => ({
    count: ids.length,
    ids: Int32Array.from(ids),
    scores: row(...scores),
  })

  it('takes the first one that no processor makes impossible, and fails if there is none', () => {
    const search = greedySearch({ maxNewTokens: 4, processors: [banTokens([[2]]), minNewTokens(2)] })
    expect(search.nextOfBest!(best([2, 1, 3, 0], [4, 3, 2, 1]))).toEqual({ tokens: [3], parents: null })
    expect(() => search.nextOfBest!(best([2, 1], [4, 3]))).toThrow('no token is possible after 1 token')
    expect(() => search.nextOfBest!(best([2, 1, 3], [4, 3, never]))).toThrow('no token is possible after 1 token')
  })

  it('needs all logits if a processor changes scores, if many tokens are banned, or for log-probabilities', () => {
    const many = banTokens(Array.from({ length: NUM_BEST }, (_, i) => [2 + i]))
    const needs = (options: Partial<Parameters<typeof greedySearch>[0]>): boolean | undefined =>
      greedySearch({ maxNewTokens: 4, ...options }).needsLogits
    expect(needs({})).toBe(false)
    expect(needs({ processors: [minNewTokens(2), noRepeatNgram(2)] })).toBe(false)
    expect(needs({ processors: [temperature(2)] })).toBe(true)
    expect(needs({ processors: [many] })).toBe(true)
    expect(needs({ processors: [many], prefix: [5] })).toBe(false)
    expect(needs({ logProbabilities: true })).toBe(true)
    expect(needs({ topTokens: 1 })).toBe(true)
    expect(sampling({ maxNewTokens: 4, seed: 1 }).needsLogits).toBe(true)
  })
})

describe('log-probabilities', () => {
  it("are the model's, independent of the processors", () => {
    const search = greedySearch({ maxNewTokens: 1, logProbabilities: true, processors: [banTokens([[2]])] })
    run(search, [logs(0.1, 0.2, 0.4, 0.3)])
    const [{ tokens, score, logProbabilities }] = search.answers()
    expect(tokens).toEqual([3])
    expect(score).toBeCloseTo(Math.log(0.3), 6)
    expect(logProbabilities).toEqual([score])
  })
})

describe('beam search', () => {
  // Token 2 is more probable than 3 at first, but the tokens after it are less certain.
  const table = [logs(0, 0, 0.6, 0.4), [], logs(0, 0.5, 0.25, 0.25), logs(0, 0.9, 0.05, 0.05)]

  it('finds an answer that a greedy choice misses, and scores it by its length', () => {
    const greedy = greedySearch({ maxNewTokens: 4 })
    run(greedy, table)
    expect(greedy.answers()[0].tokens).toEqual([2, 1])
    const search = beamSearch({ maxNewTokens: 4, numBeams: 2, numReturned: 2 })
    run(search, table)
    expect(search.answers().map(a => a.tokens)).toEqual([
      [3, 1],
      [2, 1],
    ])
    expect(search.answers()[0].score).toBeCloseTo(Math.log(0.4 * 0.9) / 2, 6)
    expect(search.answers()[0].logProbabilities.map(Math.exp)).toEqual([expect.closeTo(0.4, 6), expect.closeTo(0.9, 6)])
  })

  it('draws continuations without replacement, if it samples', () => {
    // One step: of the first two tokens drawn, the more probable one is the answer.
    const probabilities = [0.1, 0.2, 0.3, 0.4]
    const answerIs = (token: number): number => {
      const first = probabilities[token]
      const others = probabilities.filter(p => p < first)
      return others.reduce((sum, p) => sum + (first * p) / (1 - first) + (p * first) / (1 - p), 0)
    }
    const counts = [0, 0, 0, 0]
    for (let seed = 0; seed < 3000; seed++) {
      const search = beamSearch({ maxNewTokens: 1, numBeams: 2, sampleSeed: seed })
      search.next(row(...logs(...probabilities), ...logs(...probabilities)))
      counts[search.answers()[0].tokens[0]]++
    }
    counts.forEach((count, token) => expect(Math.abs(count / 3000 - answerIs(token))).toBeLessThan(0.03))
  })

  it('returns its unfinished beams when it is ended early', () => {
    const search = beamSearch({ maxNewTokens: 4, numBeams: 2 })
    search.next(row(...table[0], ...table[0]))
    expect(search.answers()[0].tokens).toEqual([2])
  })

  it('scores a given answer', () => {
    const search = scoring([3, 1])
    run(search, table)
    expect(search.answers()[0].tokens).toEqual([3, 1])
    expect(search.answers()[0].logProbabilities.map(Math.exp)).toEqual([expect.closeTo(0.4, 6), expect.closeTo(0.9, 6)])
  })

  it('refuses settings that are out of range', () => {
    expect(() => beamSearch({ maxNewTokens: 4, numBeams: 2, numReturned: 3 })).toThrow(
      'numReturned must be a whole number from 1 to numBeams (2), not 3',
    )
    expect(() => greedySearch({ maxNewTokens: 0 })).toThrow('maxNewTokens must be a positive whole number, not 0')
  })
})

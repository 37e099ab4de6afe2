import { describe, expect, it } from 'vitest'
import { beamSearch } from './beam.js'
import {
  banTokens,
  forceTokens,
  minNewTokens,
  minP,
  noRepeatNgram,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from './processors.js'
import type { ScoreProcessor } from './processors.js'
import { greedySearch, sampling, scoring } from './search.js'
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
  })

  it('refuse settings that are out of range', () => {
    expect(() => temperature(0)).toThrow('temperature must be greater than 0, not 0')
    expect(() => topP(1.5)).toThrow('topP must be greater than 0 and at most 1, not 1.5')
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

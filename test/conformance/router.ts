import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { roundHalfEven } from '../../src/base/dtypes.js'
import { hostFrom } from '../../src/base/host-tensor.js'
import type { Tensor } from '../../src/engine/api/tensor.js'
import { jit } from '../../src/engine/api/jit.js'
import * as np from '../../src/engine/api/np.js'
import * as random from '../../src/engine/api/random.js'
import { softmax } from '../../src/nn/softmax.js'
import type { Router } from '../../src/nn/moe/router.js'

const [groups, tokens, experts] = [2, 7, 3]

/** One choice of a token. */
interface Choice {
  group: number
  token: number
  expert: number
  position: number
  kept: boolean
  gate: number
}
interface Routed {
  choices: Choice[]
  choice: number[]
  probabilities: number[]
}

/**
 * The tests that every Router must pass. `gate`: that of a kept choice; default: the expert's probability. `key`:
 * whether it gets a random key, as in training.
 */
export function describeRouter(
  name: string,
  router: Router,
  { gate: fixedGate, key = true }: { gate?: number; key?: boolean } = {},
): void {
  const assignWith = (capacity: number | null) =>
    jit((logits: Tensor, mask: Tensor) => {
      const probabilities = softmax(logits)
      const tokenIds = np.reshape(np.arange(groups * tokens), [groups, tokens]) // [groups, tokens]
      const context = { tokenIds, key: key ? random.key(0) : null, capacityShare: 2 / experts }
      return { probabilities, ...router.assign({ logits, probabilities }, mask, capacity, context) }
    })
  // No capacity applies to a router that takes every choice.
  const capacities = router.isDropless ? [null] : [1, 3, null]
  const assigners = new Map(capacities.map(capacity => [capacity, assignWith(capacity)] as const))
  const sample = fc.record({
    logits: fc.array(fc.double({ min: -3, max: 3, noNaN: true }), {
      minLength: groups * tokens * experts,
      maxLength: groups * tokens * experts,
    }),
    mask: fc.array(fc.boolean(), { minLength: groups * tokens, maxLength: groups * tokens }),
    capacity: fc.constantFrom(...capacities),
  })
  const route = async ({
    logits,
    mask,
    capacity,
  }: {
    logits: number[]
    mask: boolean[]
    capacity: number | null
  }): Promise<Routed> => {
    const result = assigners.get(capacity)!(
      np.fromHost(hostFrom('float32', [groups, tokens, experts], logits)),
      np.fromHost(hostFrom('bool', [groups, tokens], mask.map(Number))),
    )
    expect(result.choice.shape).toEqual([groups, tokens, experts])
    const perToken = result.expert.shape[2]
    const shapes = [result.expert, result.position, result.kept, result.gate].map(x => x.shape)
    expect(shapes).toEqual(shapes.map(() => [groups, tokens, perToken]))
    const [expert, position, kept, gate, choice, probabilities] = await Promise.all(
      [result.expert, result.position, result.kept, result.gate, result.choice, result.probabilities].map(x =>
        x.numbers(),
      ),
    )
    const choices = expert.map((e, i): Choice => {
      const token = Math.floor(i / perToken)
      return {
        group: Math.floor(token / tokens),
        token,
        expert: e,
        position: position[i],
        kept: kept[i] === 1,
        gate: gate[i],
      }
    })
    return { choices, choice, probabilities }
  }
  const holds = (
    check: (routed: Routed, sample: { mask: boolean[]; capacity: number | null }) => void,
  ): Promise<void> => fc.assert(fc.asyncProperty(sample, async s => check(await route(s), s)))

  /** Two thirds of a group's routed tokens, rounded half to even, at least 1. */
  const shareOfGroup = (mask: boolean[], group: number): number =>
    Math.max(1, roundHalfEven((2 / experts) * mask.slice(group * tokens, (group + 1) * tokens).filter(Boolean).length))

  describe(`Router: ${name}`, () => {
    it('gives kept choices of an expert different positions below the capacity, in each group', () =>
      holds(({ choices }, { capacity }) => {
        const kept = choices.filter(c => c.kept)
        expect(new Set(kept.map(c => `${c.group} ${c.expert} ${c.position}`)).size).toBe(kept.length)
        for (const { position } of kept) {
          expect(position).toBeGreaterThanOrEqual(0)
          expect(position).toBeLessThan(capacity ?? tokens)
        }
      }))

    it('sends no token to one expert twice, and a masked one nowhere', () =>
      holds(({ choices, choice }, { mask }) => {
        const kept = choices.filter(c => c.kept)
        expect(new Set(kept.map(c => `${c.token} ${c.expert}`)).size).toBe(kept.length)
        for (const { token, expert } of kept) expect([mask[token], choice[token * experts + expert]]).toEqual([true, 1])
        choice.forEach((c, i) => {
          if (!mask[Math.floor(i / experts)]) expect(c).toBe(0)
        })
      }))

    it('keeps every choice while the expert has capacity', () =>
      holds(({ choices }, { mask, capacity }) => {
        for (const { group, token, expert, kept } of choices) {
          if (kept || !mask[token]) continue
          const taken = choices.filter(c => c.kept && c.group === group && c.expert === expert).length
          if (router.comparesTokens && capacity === null) expect(taken).toBe(shareOfGroup(mask, group))
          else expect(taken).toBe(capacity)
        }
      }))

    it(`has ${fixedGate ?? "the expert's probability"} as gate, and 0 for choices that are not kept`, () =>
      holds(({ choices, probabilities }) => {
        for (const { token, expert, kept, gate } of choices)
          expect(gate).toBeCloseTo(kept ? (fixedGate ?? probabilities[token * experts + expert]) : 0, 6)
      }))
  })
}
